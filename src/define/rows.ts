import type { KeyDefinition, KeyPart } from './key.ts';
import { DeclarationMistake } from './mistake.ts';
import { ALL_ROWS, type Holder, type Principal } from './principal.ts';

/** The rows that a principal may read: those whose owner is the value of its claim. */
export interface RowsDefinition<Asked> {
  readonly claim: string;
  /** The owner of the rows that are asked for. */
  readonly of: (asked: Asked) => string;
}

/** The rows that a view shows. Without `of` the view's `load` limits them itself. */
export interface ViewRowsDefinition {
  readonly claim: string;
  readonly of: ((input: unknown) => string) | undefined;
}

/** The rows of one owner; null for all rows; undefined if the principal lacks the claim, and may read none. */
export type Owner = string | null | undefined;

/** The id of the holder of the deployment's secret. */
export const BOOTSTRAP_ID = 'bootstrap';

export function ownerFor(principal: Principal, claim: string): Owner {
  if (principal.kind === 'anonymous') return undefined;
  if (principal.kind === 'key' && principal.id === BOOTSTRAP_ID) return null;
  const value = Object.hasOwn(principal.claims, claim) ? principal.claims[claim] : undefined;
  return principal.kind === 'key' && value === ALL_ROWS ? null : value;
}

/** Whether a claim limits the principal to some rows. It then reads only what declares how its rows are limited. */
export function isLimited({ kind, claims }: Holder): boolean {
  for (const claim in claims) if (kind === 'token' || claims[claim] !== ALL_ROWS) return true;
  return false;
}

/** How claims limit the rows of an entity. */
export interface EntityRows<Property extends string = string> {
  /** The claim that has to equal the key, or a part of it. */
  readonly claim: string;
  /** For a key of several columns: the one that the claim has to equal. */
  readonly part?: Property;
}

/** The rows of an entity, by the key's values. @throws DeclarationMistake */
export function entityRows(
  { claim, part }: EntityRows,
  key: KeyDefinition,
): RowsDefinition<Readonly<Record<string, KeyPart>>> {
  const [only, ...others] = key.columns;
  const property = part ?? (others.length === 0 ? only?.property : undefined);
  if (property === undefined || key.columns.every((column) => column.property !== property))
    throw new DeclarationMistake(
      `Its \`rows\` do not say which column of the key the claim "${claim}" has to equal.`,
      `Name one as \`part\`: ${key.columns.map((column) => column.property).join(', ')}.`,
    );
  return { claim, of: (values) => String(values[property]) };
}

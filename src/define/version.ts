import * as z from 'zod';
import { DeclarationMistake, defining } from './mistake.ts';

/** The announced end of a version. Days in UTC, `2027-06-30`; each begins at midnight. */
export interface Deprecation {
  /** The day from which producers should send the current version (RFC 9745). */
  readonly since: string;
  /**
   * The day from which the version may be removed (RFC 8594). Millrace accepts it until it is removed from the catalog.
   */
  readonly sunset?: string | undefined;
}

/** The announced end of a route. */
export interface RouteDeprecation extends Deprecation {
  /** The address of what replaces it, with parameters in braces; undefined if nothing does. */
  readonly by?: string | undefined;
}

/** The reason why data of an earlier version could not be upcast to the current one. */
export interface UpcastFailure {
  readonly ok: false;
  readonly code: 'contract_violation';
  /** `contract_violation` if the data violate their own version, `upcast_failed` if a later version refuses them. */
  readonly reason: 'contract_violation' | 'upcast_failed';
  readonly pointer: string;
  readonly detail: string;
}

/** Data in the form of another version, not yet validated by that version's contract. */
export type Upcast<Data = unknown> = { readonly ok: true; readonly data: Data } | UpcastFailure;

/** The members that current and earlier versions both declare. */
interface VersionDeclaration<Schema extends z.ZodType> {
  version: number;
  /** The contract. */
  data: Schema;
  deprecated?: Deprecation;
  /** Data that satisfies the contract and all rules. `/v1/events/types` shows it in an event that can be sent. */
  example?: z.input<Schema>;
}

/**
 * An earlier version, and the upcast of its data to the next version: `Next` is the input of that version's contract.
 */
export interface EarlierVersion<Next> {
  readonly version: number;
  readonly deprecated: Deprecation | undefined;
  readonly example: unknown;
  readonly jsonSchema: () => unknown;
  readonly toNext: (data: unknown) => Upcast<Next>;
  readonly earlier: EarlierVersion<unknown> | undefined;
}

/**
 * Declares a version that producers may still send. `upcast` converts its data to the next version. It must be pure, so
 * that duplicates of an event have equal data.
 */
export function earlierVersion<Schema extends z.ZodType, Next>(
  declaration: VersionDeclaration<Schema> & {
    upcast: (data: z.output<Schema>) => Next;
    /** The version before this one. */
    earlier?: EarlierVersion<z.input<Schema>>;
  },
): EarlierVersion<Next> {
  return defining<EarlierVersion<Next>>({}, () => {
    const { version, data: schema, deprecated, example, earlier, upcast } = declaration;
    return {
      version: versionNumber(version, earlier),
      deprecated: checkedDeprecation(deprecated),
      example,
      jsonSchema: () => z.toJSONSchema(schema, { io: 'input' }),
      toNext: (data) => {
        const parsed = schema.safeParse(data);
        if (!parsed.success) return { ...violationOf(parsed.error), reason: 'contract_violation' };
        try {
          return { ok: true, data: upcast(parsed.data) };
        } catch (error) {
          return upcastFailed(
            '/data',
            `The upcast of version ${version} failed for this data (${causeOf(error)}).`,
          );
        }
      },
      earlier,
    };
  });
}

/** The versions before the current one, newest first, each with the composed upcast to the current version. */
export function upcastsOf(
  earliest: EarlierVersion<unknown> | undefined,
): readonly { readonly version: EarlierVersion<unknown>; readonly toCurrent: (data: unknown) => Upcast }[] {
  const chain: { version: EarlierVersion<unknown>; toCurrent: (data: unknown) => Upcast }[] = [];
  let later: (data: unknown) => Upcast = (data) => ({ ok: true, data });
  for (let version = earliest; version !== undefined; version = version.earlier) {
    const { toNext } = version;
    const fromNext = later;
    const toCurrent = (data: unknown): Upcast => {
      const next = toNext(data);
      return next.ok ? asUpcastFailure(fromNext(next.data)) : next;
    };
    chain.push({ version, toCurrent });
    later = toCurrent;
  }
  return chain;
}

/** If a later version refuses upcast data, the fault is the upcast's and not the producer's. */
export function asUpcastFailure(upcast: Upcast): Upcast {
  if (upcast.ok || upcast.reason === 'upcast_failed') return upcast;
  return upcastFailed(upcast.pointer, `A later version of this data refuses it: ${upcast.detail}`);
}

/** The kind and the message of an error that a function of the catalog threw. */
export function causeOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** The first violation of a contract. */
export function violationOf(error: z.ZodError): Omit<UpcastFailure, 'reason'> {
  const issue = error.issues[0];
  return {
    ok: false,
    code: 'contract_violation',
    pointer: ['data', ...(issue?.path ?? [])].map((step) => `/${String(step)}`).join(''),
    detail: issue?.message ?? 'The data breaks the contract of its type.',
  };
}

/** @throws DeclarationMistake if the number is not a positive integer, or not greater than the earlier version's. */
export function versionNumber(version: number, earlier: { readonly version: number } | undefined): number {
  if (!Number.isSafeInteger(version) || version < 1)
    throw new DeclarationMistake(`Its version is ${version}.`, 'Give it a whole number from 1.');
  if (earlier !== undefined && earlier.version >= version)
    throw new DeclarationMistake(
      `Version ${earlier.version} is declared as earlier than version ${version}.`,
      'Number the versions in their order.',
    );
  return version;
}

/** @throws DeclarationMistake for an invalid date, or a sunset before the deprecation (RFC 9745 §4). */
export function checkedDeprecation(deprecated: Deprecation | undefined): Deprecation | undefined {
  if (deprecated === undefined) return undefined;
  const { since, sunset = since } = deprecated;
  for (const day of [since, sunset])
    if (!z.iso.date().safeParse(day).success)
      throw new DeclarationMistake(`"${day}" is not a day.`, 'Write days as 2027-06-30.');
  if (sunset < since)
    throw new DeclarationMistake(
      `The sunset ${sunset} lies before the deprecation ${since}.`,
      'Let it be the same day or a later one (RFC 9745 §4).',
    );
  return deprecated;
}

function upcastFailed(pointer: string, detail: string): UpcastFailure {
  return { ok: false, code: 'contract_violation', reason: 'upcast_failed', pointer, detail };
}

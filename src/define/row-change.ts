import type { EntityDefinition } from './entity.ts';

/**
 * The events that record what a row's columns were changed to. Triggers write them into the history, beside the events
 * that producers send (`storage/postgres/column-history.ts`). No producer can send one, because no catalog declares the
 * type.
 */

/** Names of event types that begin so are Millrace's own. */
export const OWN_TYPES = 'millrace.';
const PREFIX = `${OWN_TYPES}row.`;

/** The type of the events of an entity's rows. */
export function rowChangeType({ name }: Pick<EntityDefinition, 'name'>): string {
  return `${PREFIX}${name}.v1`;
}

/** Whether an event of this type records a change of a row. */
export function isRowChange(type: string): boolean {
  return type.startsWith(PREFIX);
}

/** The data of such an event. */
export interface RowChange {
  /** The canonical text of the entity's key. */
  readonly key: string;
  /** The columns that features read, by their properties; null for a row that was deleted. */
  readonly row: Readonly<Record<string, unknown>> | null;
}

/** The data of an event as the trigger wrote them; null for any other data. */
export function parseRowChange(data: unknown): RowChange | null {
  if (!isObject(data)) return null;
  const { key, row } = data;
  if (typeof key !== 'string' || !(row === null || isObject(row))) return null;
  return { key, row };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { ClockColumn } from './clock.ts';
import {
  type EntityDefinition,
  type History,
  type HistoryDefinition,
  type InsertOf,
  tagsOfAppend,
} from './entity.ts';
import type { KeyInput, KeyPart } from './key.ts';
import type { Tag } from './tag.ts';

/** A row by property of its drizzle table, with values as drizzle takes them. */
export type StoredRow = Readonly<Record<string, unknown>>;

/**
 * What storing one event does to the tables, in addition to the event itself. `docs/catalog.md` explains when to use
 * each effect.
 */
export type Effect =
  | { readonly kind: 'append'; readonly history: HistoryDefinition; readonly row: StoredRow }
  | RowEffect;

/** What an event does to one row of an entity. */
export type RowEffect =
  /** Inserts the row unless a row with its key exists. */
  | { readonly kind: 'ensure'; readonly entity: EntityDefinition; readonly row: StoredRow }
  /** Inserts the row, or replaces these columns of the existing row. */
  | { readonly kind: 'upsert'; readonly entity: EntityDefinition; readonly row: StoredRow }
  /** Replaces columns of the row; the key is part of `row`. If the row is missing, it does nothing. */
  | { readonly kind: 'set'; readonly entity: EntityDefinition; readonly row: StoredRow }
  /** Adds to columns. If the row is missing, it inserts `orInsert` first, or does nothing without it. */
  | {
      readonly kind: 'increment';
      readonly entity: EntityDefinition;
      readonly key: Readonly<Record<string, KeyPart>>;
      readonly by: Readonly<Record<string, Amount>>;
      /** Includes the key. */
      readonly orInsert: StoredRow | undefined;
    }
  /** Deletes the row unless a later event has written it. */
  | {
      readonly kind: 'remove';
      readonly entity: EntityDefinition;
      readonly key: Readonly<Record<string, KeyPart>>;
    };

/**
 * The amount to add to a column. A string is a decimal number, for `numeric` columns that drizzle represents as text.
 */
export type Amount = number | bigint | string;

/** The column of a history that holds the number of the row's event. */
export const EVENT_SEQ = 'event_seq';
/** The column of a history that numbers the rows of one event. */
export const EVENT_LINE = 'event_line';

type TableOf<Definition extends EntityDefinition> = Definition['table'];
type Columns<Table extends PgTable> = Table['_']['columns'];
type KeyOf<Definition extends EntityDefinition> = Parameters<Definition['row']>[0];
type KeyProperty<Definition extends EntityDefinition> = keyof Definition['params'] & string;
type Clocks<Definition extends EntityDefinition> = Definition['clocks'];
type ClockProperty<Definition extends EntityDefinition> = keyof Clocks<Definition> & string;
/** Properties that a clock covers. */
type TimedProperty<Definition extends EntityDefinition> =
  Clocks<Definition>[keyof Clocks<Definition>]['columns'][number]['property'];

/**
 * A row that events may insert. It omits clocks, because the database writes a clock together with the columns that it
 * covers.
 */
type RowOf<Definition extends EntityDefinition> = Omit<
  InsertOf<TableOf<Definition>>,
  ClockProperty<Definition>
>;
type ColumnsOf<Definition extends EntityDefinition> = Partial<
  Omit<RowOf<Definition>, KeyProperty<Definition>>
>;

/** Excludes floating-point columns, because sums of floats depend on the order of the additions. */
type IsNumeric<Column> = Column extends {
  readonly _: { readonly dataType: infer Data; readonly columnType: infer Type };
}
  ? Type extends 'PgReal' | 'PgDoublePrecision'
    ? false
    : Data extends 'number' | 'bigint'
      ? true
      : Type extends 'PgNumeric'
        ? true
        : false
  : false;

/** Columns that events may add to: numbers that are neither part of the key nor under a clock. */
type CounterProperty<Definition extends EntityDefinition> = Exclude<
  {
    [Property in keyof Columns<TableOf<Definition>>]: IsNumeric<
      Columns<TableOf<Definition>>[Property]
    > extends true
      ? Property
      : never;
  }[keyof Columns<TableOf<Definition>>] &
    string,
  KeyProperty<Definition> | TimedProperty<Definition>
>;

/** Without this, an empty object type would accept any property. */
type AmountsOf<Property extends string> = [Property] extends [never]
  ? Readonly<Record<string, never>>
  : { readonly [Counter in Property]?: Amount };

/**
 * Stores a row of a history. The database sets `eventSeq`, the number of the event, and `eventLine`, if the table has
 * it: the position of the row among the rows of the event.
 */
export function append<Table extends PgTable>(
  definition: History<Table>,
  row: Omit<InsertOf<Table>, 'eventSeq' | 'eventLine'>,
): Effect {
  return { kind: 'append', history: definition, row };
}

/**
 * Inserts an entity's row unless a row with its key exists, because an event may refer to a row that no event has
 * described yet. The first stored event wins, independent of when it happened.
 */
export function ensure<Definition extends EntityDefinition>(
  definition: Definition,
  row: RowOf<Definition>,
): Effect {
  return { kind: 'ensure', entity: definition, row: checkedRow(definition, row, 'ensure') };
}

/**
 * Inserts an entity's row, or replaces the given columns of the existing row. Under a clock, the event that happened
 * last wins; otherwise, the event that is stored last wins.
 *
 * @throws TypeError if only some of the columns of one clock are given: an earlier event would complete them.
 */
export function upsert<Definition extends EntityDefinition>(
  definition: Definition,
  row: RowOf<Definition>,
): Effect {
  return { kind: 'upsert', entity: definition, row: checkedRow(definition, row, 'upsert') };
}

/**
 * Replaces columns of an entity's row. If the row is missing, it does nothing: use `upsert` if an event can arrive
 * before the one that inserts the row. The winning event is chosen as with `upsert`.
 *
 * @throws TypeError if only some of the columns of one clock are given: an earlier event would complete them.
 */
export function set<Definition extends EntityDefinition>(
  definition: Definition,
  key: KeyOf<Definition>,
  columns: ColumnsOf<Definition>,
): Effect {
  const row = { ...columns, ...keyValues(definition, key) };
  return { kind: 'set', entity: definition, row: checkedRow(definition, row, 'set') };
}

/**
 * Adds to columns of an entity's row. Concurrent additions are safe in any order, and a duplicate event adds once. A
 * null column counts as zero.
 *
 * @param options `orInsert` has the other columns of a missing row; any event that writes its columns under a clock
 *   replaces them. Without it, nothing is added if the row is missing.
 * @throws TypeError for a column that is not a number, is part of the key, or is under a clock.
 */
export function increment<Definition extends EntityDefinition>(
  definition: Definition,
  key: KeyOf<Definition>,
  by: AmountsOf<CounterProperty<Definition>>,
  options: { readonly orInsert?: Omit<RowOf<Definition>, KeyProperty<Definition>> } = {},
): Effect {
  const values = keyValues(definition, key);
  const amounts = Object.entries<unknown>(by).flatMap(([property, amount]) =>
    amount === undefined ? [] : [[property, checkedAmount(definition, property, amount)] as const],
  );
  const { orInsert } = options;
  return {
    kind: 'increment',
    entity: definition,
    key: values,
    by: Object.fromEntries(amounts),
    orInsert:
      orInsert === undefined ? undefined : checkedRow(definition, { ...orInsert, ...values }, 'increment'),
  };
}

/**
 * Deletes an entity's row, unless an event that happened later has written it. Events that happened before the removal
 * and arrive after it do not restore the row. An event that happened later inserts it again.
 *
 * @throws TypeError for an entity that does not have exactly one clock: its writes and removals could not be ordered.
 */
export function remove<Definition extends EntityDefinition>(
  definition: Definition,
  key: KeyOf<Definition>,
): Effect {
  const clocks = Object.keys(definition.clocks).length;
  if (clocks !== 1)
    throw new TypeError(
      `Events cannot remove rows of "${definition.name}": it has ${clocks} clocks, and needs one that tells which writes are later than the removal.`,
    );
  return { kind: 'remove', entity: definition, key: keyValues(definition, key) };
}

/**
 * The tags that are known before the effects run. The database computes the tags of changed entity rows, because only
 * it knows what changed.
 */
export function tagsOfEffects(effects: readonly Effect[]): Tag[] {
  return effects.flatMap((effect) =>
    effect.kind === 'append' ? tagsOfAppend(effect.history, effect.row) : [],
  );
}

/** The tags of the rows of entities that the effects may change, one for each effect. */
export function rowTagsOf(effects: readonly Effect[]): Tag[] {
  return effects.flatMap((effect) => {
    if (effect.kind === 'append') return [];
    const { entity } = effect;
    const values = 'row' in effect ? effect.row : effect.key;
    const parts = entity.key.columns.map(({ property }) => [property, values[property]]);
    return [entity.row(Object.fromEntries(parts))];
  });
}

/**
 * Refuses several rows of one event in a history that cannot distinguish them.
 *
 * @throws TypeError
 */
export function checkLines(effects: readonly Effect[]): void {
  const seen = new Set<HistoryDefinition>();
  for (const effect of effects) {
    if (effect.kind !== 'append') continue;
    const { history } = effect;
    if (seen.has(history) && !hasLines(history))
      throw new TypeError(
        `An event stores several rows in the history "${history.name}", whose table has room for one row for each event. Give it a column eventLine: integer('${EVENT_LINE}'), and a primary key of eventSeq and eventLine.`,
      );
    seen.add(history);
  }
}

/** The row that an effect inserts if it is missing; undefined if the effect inserts none. */
export function insertedRow(effect: Effect): StoredRow | undefined {
  if (effect.kind === 'increment') return effect.orInsert;
  return effect.kind === 'set' || effect.kind === 'remove' ? undefined : effect.row;
}

/** Whether a history accepts several rows of one event. */
export function hasLines({ table }: Pick<HistoryDefinition, 'table'>): boolean {
  return Object.values(getTableColumns(table)).some(({ name }) => name === EVENT_LINE);
}

function keyValues(definition: EntityDefinition, key: KeyInput): Readonly<Record<string, KeyPart>> {
  // `textOf` throws if the columns cannot hold the key.
  definition.key.textOf(key);
  return definition.key.valuesOf(key);
}

/** An undefined value counts as not given: a new row gets the column's default, and an existing row keeps its value. */
function checkedRow(definition: EntityDefinition, row: StoredRow, kind: string): StoredRow {
  const { name, table, key } = definition;
  const columns = getTableColumns(table);
  const given = Object.entries(row).filter(([, value]) => value !== undefined);
  const properties = new Set(given.map(([property]) => property));
  for (const property of properties)
    if (!(property in columns))
      throw new TypeError(`An event stores "${property}", which the table of "${name}" does not have.`);
  for (const { property } of key.columns)
    if (!properties.has(property))
      throw new TypeError(`An event stores a row of "${name}" without "${property}", a part of its key.`);
  for (const clock of Object.values(definition.clocks)) {
    if (properties.has(clock.property))
      throw new TypeError(
        `"${clock.property}" of "${name}" is a clock: Millrace writes it together with its columns. Leave it out.`,
      );
    const missing = clock.columns.filter(({ property }) => !properties.has(property));
    if (
      kind !== 'ensure' &&
      kind !== 'increment' &&
      missing.length > 0 &&
      missing.length < clock.columns.length
    )
      throw new TypeError(
        `A "${kind}" of "${name}" writes some columns of the clock "${clock.property}" and not ${missing.map(({ property }) => `"${property}"`).join(', ')}: write all of them, or give each a clock of its own.`,
      );
  }
  return Object.fromEntries(given);
}

function checkedAmount(definition: EntityDefinition, property: string, amount: unknown): Amount {
  const { name, table, key } = definition;
  const column = columnOf(table, property);
  const type = column?.getSQLType() ?? '';
  if (!WHOLE.test(type) && !NUMERIC.test(type))
    throw new TypeError(
      `An event adds to "${property}", which is not an integer or numeric column of the table of "${name}".`,
    );
  if ([...key.columns, ...timedColumns(definition)].some((fixed) => fixed.property === property))
    throw new TypeError(
      `An event adds to "${property}" of "${name}", which is a part of its key or under a clock.`,
    );
  const isNumber =
    typeof amount === 'bigint' ||
    (typeof amount === 'number' && Number.isFinite(amount)) ||
    (typeof amount === 'string' && DECIMAL.test(amount));
  const isWhole = typeof amount !== 'number' ? WHOLE_TEXT.test(String(amount)) : Number.isSafeInteger(amount);
  if (!isNumber || (WHOLE.test(type) && !isWhole))
    throw new TypeError(`An event adds ${String(amount)} to "${property}" of "${name}", which is ${type}.`);
  return amount;
}

function columnOf(table: PgTable, property: string): PgColumn | undefined {
  const columns: Readonly<Record<string, PgColumn>> = getTableColumns(table);
  return columns[property];
}

function timedColumns({ clocks }: EntityDefinition): readonly ClockColumn[] {
  return Object.values(clocks).flatMap(({ columns }) => columns);
}

const WHOLE = /^(smallint|integer|bigint|smallserial|serial|bigserial)$/;
const NUMERIC = /^numeric\b/;
const DECIMAL = /^-?\d+(\.\d+)?$/;
const WHOLE_TEXT = /^-?\d+$/;

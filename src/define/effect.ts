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

/** What storing one event does to the tables, beside the event itself. `docs/catalog.md` says when each is to be used. */
export type Effect =
  | { readonly kind: 'append'; readonly history: HistoryDefinition; readonly row: StoredRow }
  | RowEffect;

/** What an event does to one row of an entity. */
export type RowEffect =
  /** Inserts the row unless one with its key is there. */
  | { readonly kind: 'ensure'; readonly entity: EntityDefinition; readonly row: StoredRow }
  /** Inserts the row, or replaces these columns of the one that is there. */
  | { readonly kind: 'upsert'; readonly entity: EntityDefinition; readonly row: StoredRow }
  /** Replaces columns of the row; the key is part of `row`. Without such a row it does nothing. */
  | { readonly kind: 'set'; readonly entity: EntityDefinition; readonly row: StoredRow }
  /** Adds to columns. Without such a row it inserts `orInsert` first, or does nothing. */
  | {
      readonly kind: 'increment';
      readonly entity: EntityDefinition;
      readonly key: Readonly<Record<string, KeyPart>>;
      readonly by: Readonly<Record<string, Amount>>;
      /** With the key. */
      readonly orInsert: StoredRow | undefined;
    }
  /** Deletes the row unless it was written by a later event. */
  | {
      readonly kind: 'remove';
      readonly entity: EntityDefinition;
      readonly key: Readonly<Record<string, KeyPart>>;
    };

/** What is added to a column. A text is a decimal number, for `numeric` columns that drizzle has as text. */
export type Amount = number | bigint | string;

/** The column of a history that has the number of its row's event. */
export const EVENT_SEQ = 'event_seq';
/** The column of a history that numbers the rows of one event. */
export const EVENT_LINE = 'event_line';

type TableOf<Definition extends EntityDefinition> = Definition['table'];
type Columns<Table extends PgTable> = Table['_']['columns'];
type KeyOf<Definition extends EntityDefinition> = Parameters<Definition['row']>[0];
type KeyProperty<Definition extends EntityDefinition> = keyof Definition['params'] & string;
type Clocks<Definition extends EntityDefinition> = Definition['clocks'];
type ClockProperty<Definition extends EntityDefinition> = keyof Clocks<Definition> & string;
/** Properties that have a clock. */
type TimedProperty<Definition extends EntityDefinition> =
  Clocks<Definition>[keyof Clocks<Definition>]['columns'][number]['property'];

/** A row as events may insert it: clocks are written with what they are the clock of. */
type RowOf<Definition extends EntityDefinition> = Omit<
  InsertOf<TableOf<Definition>>,
  ClockProperty<Definition>
>;
type ColumnsOf<Definition extends EntityDefinition> = Partial<
  Omit<RowOf<Definition>, KeyProperty<Definition>>
>;

/** Sums of floating-point numbers depend on the order of their parts. */
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

/** Columns that events may add to: numbers that are neither a part of the key nor under a clock. */
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

/** An empty object type would take any property. */
type AmountsOf<Property extends string> = [Property] extends [never]
  ? Readonly<Record<string, never>>
  : { readonly [Counter in Property]?: Amount };

/**
 * Stores a row of a history. Its `eventSeq` is the number of the event, and its `eventLine`, where the table has one,
 * that of the row among those of the event: the database gives both.
 */
export function append<Table extends PgTable>(
  definition: History<Table>,
  row: Omit<InsertOf<Table>, 'eventSeq' | 'eventLine'>,
): Effect {
  return { kind: 'append', history: definition, row };
}

/**
 * Inserts an entity's row unless one with its key is there: events may name what no event has described yet. The
 * first that is stored counts, whenever it happened.
 */
export function ensure<Definition extends EntityDefinition>(
  definition: Definition,
  row: RowOf<Definition>,
): Effect {
  return { kind: 'ensure', entity: definition, row: checkedRow(definition, row, 'ensure') };
}

/**
 * Inserts an entity's row, or replaces the given columns of the row that is there. Columns under a clock end as the
 * last event left them; of others, the event that is stored last counts.
 *
 * @throws TypeError for a part of the columns of one clock: an earlier event would complete it.
 */
export function upsert<Definition extends EntityDefinition>(
  definition: Definition,
  row: RowOf<Definition>,
): Effect {
  return { kind: 'upsert', entity: definition, row: checkedRow(definition, row, 'upsert') };
}

/**
 * Replaces columns of an entity's row. Without such a row it does nothing: where an event can arrive before the one
 * that inserts the row, use `upsert`. Which event counts is as with `upsert`.
 *
 * @throws TypeError for a part of the columns of one clock: an earlier event would complete it.
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
 * Adds to columns of an entity's row, whatever other events add at the same time: the order does not matter, and an
 * event that comes twice adds once. A column that is null counts as zero.
 *
 * @param options `orInsert` has the other columns of a row that is not there yet; its columns under a clock give way
 *   to any event that writes them. Without it, nothing is added where there is no row.
 * @throws TypeError for a column that is not a number, a part of the key, or under a clock.
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
 * Deletes an entity's row, unless an event that happened later has written it. Events that happened before the
 * removal and arrive after it do not bring the row back; one that happened later inserts it again.
 *
 * @throws TypeError for an entity that has not exactly one clock: what is later than the removal could not be told.
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

/** Tags of what is certain beforehand. What happens to rows of entities is known to the database, which tags it there. */
export function tagsOfEffects(effects: readonly Effect[]): Tag[] {
  return effects.flatMap((effect) =>
    effect.kind === 'append' ? tagsOfAppend(effect.history, effect.row) : [],
  );
}

/**
 * Refuses several rows of one event in a history that cannot tell them apart.
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
        `An event stores several rows in the history "${history.name}", whose table takes one for each event: give it a column eventLine: integer('${EVENT_LINE}'), and a primary key of eventSeq and eventLine.`,
      );
    seen.add(history);
  }
}

/** The row that an effect inserts where there is none; undefined where it inserts none. */
export function insertedRow(effect: Effect): StoredRow | undefined {
  if (effect.kind === 'increment') return effect.orInsert;
  return effect.kind === 'set' || effect.kind === 'remove' ? undefined : effect.row;
}

/** Whether a history takes several rows of one event. */
export function hasLines({ table }: Pick<HistoryDefinition, 'table'>): boolean {
  return Object.values(getTableColumns(table)).some(({ name }) => name === EVENT_LINE);
}

function keyValues(definition: EntityDefinition, key: KeyInput): Readonly<Record<string, KeyPart>> {
  // `textOf` refuses what the columns cannot hold.
  definition.key.textOf(key);
  return definition.key.valuesOf(key);
}

/** A value that is undefined is not given: it is the column's default in a new row, and stays in one that is there. */
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
      throw new TypeError(`"${clock.property}" of "${name}" is a clock: it is written with its columns.`);
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
      `An event adds to "${property}", which is no integer or numeric column of the table of "${name}".`,
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

import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { KeyDefinition } from './key.ts';

/** A column of a table and its property. */
export interface ClockColumn<Property extends string = string> {
  readonly property: Property;
  readonly column: PgColumn;
}

/**
 * A column that holds the time of the last event that wrote certain other columns. An event that happened before that
 * time does not write them, so their final values do not depend on the order in which events arrive.
 */
export interface ClockDefinition<Property extends string = string> extends ClockColumn {
  /** The columns that the clock covers. One event writes all of them or none. */
  readonly columns: readonly ClockColumn<Property>[];
}

/** An entity's declaration: the properties that each clock covers, by the clock's property. */
export type ClockDeclarations = Readonly<Record<string, readonly string[]>>;

type Columns<Table extends PgTable> = Table['_']['columns'];

/** Columns that may serve as a clock. */
type TimestampProperty<Table extends PgTable> = {
  [Property in keyof Columns<Table>]: Columns<Table>[Property]['_']['columnType'] extends
    | 'PgTimestamp'
    | 'PgTimestampString'
    ? Property
    : never;
}[keyof Columns<Table>] &
  string;

/** The clocks that an entity of the table may declare. */
export type ClocksOf<Table extends PgTable> = {
  readonly [Clock in TimestampProperty<Table>]?: readonly (keyof Columns<Table> & string)[];
};

/** Fractional digits of the seconds in an event's time. */
const EVENT_TIME_PRECISION = 3;

/**
 * The clocks of an entity.
 *
 * @throws Error for a clock that cannot hold the time of an event, and for columns that cannot have a clock.
 */
export function clocksOf(
  entity: string,
  table: PgTable,
  key: KeyDefinition,
  declared: ClockDeclarations,
): Readonly<Record<string, ClockDefinition>> {
  const all: Readonly<Record<string, PgColumn>> = getTableColumns(table);
  const taken = new Map(key.columns.map(({ property }) => [property, 'a part of the key']));
  for (const clock of Object.keys(declared)) taken.set(clock, 'a clock');
  const defined = Object.entries(declared).map(([property, columns]) => {
    const column = clockColumn(entity, property, all[property]);
    if (columns.length === 0) throw new Error(`The clock "${property}" of "${entity}" has no columns.`);
    const timed = columns.map((name) => {
      const known = all[name];
      const already = taken.get(name);
      if (known === undefined)
        throw new Error(
          `The clock "${property}" of "${entity}" names "${name}", which its table does not have.`,
        );
      if (already !== undefined)
        throw new Error(`"${name}" of "${entity}" cannot have the clock "${property}": it is ${already}.`);
      taken.set(name, `under the clock "${property}"`);
      return { property: name, column: known };
    });
    return [property, { property, column, columns: timed }] as const;
  });
  return Object.fromEntries(defined);
}

/** Null means that no event has written the columns yet, so a clock must not have a default. */
function clockColumn(entity: string, property: string, column: PgColumn | undefined): PgColumn {
  const [, precision] = /^timestamp(?: ?\((\d)\))? with time zone$/.exec(column?.getSQLType() ?? '') ?? [];
  const isTimestamp = column?.getSQLType().endsWith('with time zone') ?? false;
  if (column === undefined || !isTimestamp || Number(precision ?? 6) < EVENT_TIME_PRECISION)
    throw new Error(
      `The clock "${property}" of "${entity}" has to be a timestamp with time zone, to the millisecond or finer.`,
    );
  if (column.notNull || column.hasDefault)
    throw new Error(
      `The clock "${property}" of "${entity}" has to be nullable and without a default: null says that no event has written its columns.`,
    );
  return column;
}

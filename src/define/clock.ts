import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { KeyDefinition } from './key.ts';
import { DeclarationMistake } from './mistake.ts';

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
 * @throws DeclarationMistake for a clock that cannot hold the time of an event, and for columns that cannot have a clock.
 */
export function clocksOf(
  table: PgTable,
  key: KeyDefinition,
  declared: ClockDeclarations,
): Readonly<Record<string, ClockDefinition>> {
  const all: Readonly<Record<string, PgColumn>> = getTableColumns(table);
  const taken = new Map(key.columns.map(({ property }) => [property, 'a part of the key']));
  for (const clock of Object.keys(declared)) taken.set(clock, 'a clock');
  const defined = Object.entries(declared).map(([property, columns]) => {
    const column = clockColumn(property, all[property]);
    if (columns.length === 0)
      throw new DeclarationMistake(
        `The clock "${property}" has no columns.`,
        'Name the columns that events write, or leave the clock out.',
      );
    const timed = columns.map((name) => {
      const known = all[name];
      const already = taken.get(name);
      if (known === undefined)
        throw new DeclarationMistake(
          `The clock "${property}" names "${name}", which the table does not have.`,
          'Name a property of the table.',
        );
      if (already !== undefined)
        throw new DeclarationMistake(
          `"${name}" cannot have the clock "${property}": it is ${already}.`,
          'Leave it out of the clock.',
        );
      taken.set(name, `under the clock "${property}"`);
      return { property: name, column: known };
    });
    return [property, { property, column, columns: timed }] as const;
  });
  return Object.fromEntries(defined);
}

/** Null means that no event has written the columns yet, so a clock must not have a default. */
function clockColumn(property: string, column: PgColumn | undefined): PgColumn {
  const [, precision] = /^timestamp(?: ?\((\d)\))? with time zone$/.exec(column?.getSQLType() ?? '') ?? [];
  const isTimestamp = column?.getSQLType().endsWith('with time zone') ?? false;
  if (column === undefined || !isTimestamp || Number(precision ?? 6) < EVENT_TIME_PRECISION)
    throw new DeclarationMistake(
      `The clock "${property}" cannot hold the time of an event.`,
      'Make it a timestamp with time zone, to the millisecond or finer.',
    );
  if (column.notNull || column.hasDefault)
    throw new DeclarationMistake(
      `The clock "${property}" is not null or has a default, but null says that no event has written its columns.`,
      'Make it nullable and without a default.',
    );
  return column;
}

import {
  bigint,
  boolean,
  date,
  doublePrecision,
  integer,
  numeric,
  pgEnum,
  pgTable,
  real,
  smallint,
  text,
  timestamp,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core';
import fc from 'fast-check';

/** A table with a column of every type that a list can be ordered or filtered by, and values of each as Postgres reads them. */

export const color = pgEnum('color', ['red', 'dark blue', 'x,y]']);

export const measures = pgTable('measures', {
  id: bigint('id', { mode: 'bigint' }).notNull(),
  part: text('part').notNull(),
  label: text('label').notNull(),
  short: varchar('short', { length: 40 }).notNull(),
  small: smallint('small').notNull(),
  count: integer('count').notNull(),
  big: bigint('big', { mode: 'number' }).notNull(),
  bigger: bigint('bigger', { mode: 'bigint' }).notNull(),
  price: numeric('price', { precision: 12, scale: 4, mode: 'number' }).notNull(),
  exact: numeric('exact', { precision: 18, scale: 6 }).notNull(),
  float: real('float').notNull(),
  double: doublePrecision('double').notNull(),
  local: timestamp('local', { mode: 'string' }).notNull(),
  zoned: timestamp('zoned', { mode: 'string', withTimezone: true }).notNull(),
  at: timestamp('at time', { withTimezone: true }).notNull(),
  millis: timestamp('millis', { precision: 3 }).notNull(),
  day: date('day').notNull(),
  dayAt: date('day at', { mode: 'date' }).notNull(),
  open: boolean('open').notNull(),
  uid: uuid('uid').notNull(),
  color: color('color'),
  group: text('group'),
});

export const CREATE_MEASURES = [
  `create type color as enum ('red', 'dark blue', 'x,y]')`,
  `create table measures (id bigint, part text, label text, short varchar(40), small smallint, count integer, big bigint,
    bigger bigint, price numeric(12, 4), exact numeric(18, 6), "float" real, "double" double precision, local timestamp,
    zoned timestamptz, "at time" timestamptz, millis timestamp(3), day date, "day at" date, open boolean, uid uuid,
    color color, "group" text, primary key (id, part))`,
];

const storable = (maxLength: number) =>
  fc
    .string({ unit: 'binary', maxLength })
    .filter((value) => !value.includes('\u0000') && value.isWellFormed());
const anyText = fc.oneof(
  storable(8),
  fc.constantFrom('', 'a', 'ab', 'a\u0001', 'a,b', '%2C', ']^', 'é', '日本', '𝒳', '\uffff', 'B'),
);
const integerOf = (bits: number) => {
  const most = 2n ** BigInt(bits - 1);
  return fc
    .oneof(
      fc.bigInt({ min: -most, max: most - 1n }),
      fc.bigInt({ min: -20n, max: 20n }),
      fc.constantFrom(-most, most - 1n),
    )
    .map(String);
};
const decimalOf = (digits: number, scale: number) =>
  fc.oneof(
    fc
      .oneof(
        fc.bigInt({ min: -(10n ** BigInt(digits)) + 1n, max: 10n ** BigInt(digits) - 1n }),
        fc.bigInt({ min: -30_000n, max: 30_000n }),
      )
      .map((scaled) => `${scaled}e-${scale}`),
    fc.constant('NaN'),
  );
const floatOf = (arbitrary: fc.Arbitrary<number>) =>
  fc.oneof(
    arbitrary.map((value) => (Object.is(value, -0) ? '-0' : String(value))),
    fc.constantFrom('-0', '0', 'NaN', 'Infinity', '-Infinity', '0.1', '-0.1', '1e-40'),
  );
const padded = (value: number, digits: number) => String(value).padStart(digits, '0');
const dayOf = (yearMax: number) =>
  fc
    .tuple(
      fc.oneof(fc.integer({ min: 2019, max: 2027 }), fc.integer({ min: 1, max: yearMax })),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 28 }),
      fc.nat(6),
    )
    .map(([year, month, day, era]) => ({
      date: `${padded(era === 0 ? ((year - 1) % 4_700) + 1 : year, 4)}-${padded(month, 2)}-${padded(day, 2)}`,
      era: era === 0 ? ' BC' : '',
    }));
const dates = (yearMax: number, ends: readonly string[]) =>
  fc.oneof(
    { arbitrary: dayOf(yearMax).map(({ date, era }) => date + era), weight: 8 },
    {
      arbitrary: fc.constantFrom('2024-02-29', '1970-01-01', '2000-01-01', '1999-12-31', ...ends),
      weight: 1,
    },
  );
const times = (yearMax: number, microseconds: boolean, ends: readonly string[]) =>
  fc.oneof(
    {
      arbitrary: fc
        .tuple(dayOf(yearMax), fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999_999), fc.boolean())
        .map(([{ date, era }, hour, minute, second, fraction, coarse]) => {
          const rest = microseconds && !coarse ? padded(fraction, 6) : padded(fraction % 1_000, 3);
          return `${date} ${padded(hour, 2)}:${padded(minute, 2)}:${padded(second, 2)}.${rest}${era}`;
        }),
      weight: 8,
    },
    {
      arbitrary: fc.constantFrom('2026-01-02 03:04:05.678901', '2026-01-02 03:04:05.678902', ...ends),
      weight: 2,
    },
  );

const TIMES = ['infinity', '-infinity', '4714-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999'];
const DATES = ['infinity', '-infinity', '4714-11-24 BC', '5874897-12-31'];

/** A row as texts by the column's name. */
export const anyMeasure = fc.record({
  id: integerOf(64),
  part: anyText,
  label: anyText,
  short: anyText,
  small: integerOf(16),
  count: integerOf(32),
  big: fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -9, max: 9 })).map(String),
  bigger: integerOf(64),
  price: decimalOf(12, 4),
  exact: decimalOf(18, 6),
  float: floatOf(fc.float({ noNaN: true, noDefaultInfinity: true })),
  double: floatOf(fc.double({ noNaN: true, noDefaultInfinity: true })),
  local: times(200_000, true, TIMES),
  zoned: times(200_000, true, TIMES),
  'at time': times(9_999, true, []),
  millis: times(9_999, false, []),
  day: dates(1_000_000, DATES),
  'day at': dates(9_999, []),
  open: fc.boolean().map(String),
  uid: fc.uuid(),
  color: fc.option(fc.constantFrom(...color.enumValues)),
  group: fc.option(fc.oneof(fc.constantFrom('a', 'b', 'a,b', 'a]^'), storable(150))),
});
export type Measure = typeof anyMeasure extends fc.Arbitrary<infer Value> ? Value : never;

import { type SQL, sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  date,
  doublePrecision,
  integer,
  json,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { type Effect, tagsOfEffects } from '../../../src/define/effect.ts';
import { entity, history } from '../../../src/define/entity.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import {
  type KnownEvent,
  type StorableEvent,
  storeEvents,
} from '../../../src/storage/postgres/event-store.ts';
import * as millrace from '../../../src/storage/postgres/schema.ts';
import { FIXTURE } from '../../support/node/fixture.ts';

/** The catalog that effects are tested on, in a database whose triggers tell what each transaction really changed. */

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });

export const stations = pgTable('stations', {
  id: text('id').primaryKey(),
  name: text('name').notNull().default('unnamed'),
  namedAt: moment('named_at'),
  status: text('status').default('new'),
  battery: integer('battery'),
  statusAt: moment('status at'),
  bikes: integer('bikes').notNull().default(0),
  revenue: numeric('revenue', { precision: 12, scale: 2 }),
  note: text('note'),
});
export const station = entity({
  name: 'station',
  table: stations,
  key: stations.id,
  clocks: { statusAt: ['status', 'battery'], namedAt: ['name'] },
  lists: {
    byBikes: { orderBy: stations.bikes },
    byName: { orderBy: stations.name, filter: [stations.status] },
  },
});

/** Named as a column of the statements' own common table expressions would be. */
export const bikes = pgTable(
  'keys',
  {
    fleet: text('fleet').notNull(),
    number: integer('number').notNull(),
    zone: text('zone'),
    seenAt: moment('seen_at'),
    trips: integer('trips').notNull().default(0),
  },
  (table) => [primaryKey({ columns: [table.fleet, table.number] })],
);
export const bike = entity({
  name: 'bike',
  table: bikes,
  key: [bikes.fleet, bikes.number],
  clocks: { seenAt: ['zone'] },
});

export const rideRiders = pgTable(
  'ride_riders',
  {
    eventSeq: bigint('event_seq', { mode: 'number' }).notNull(),
    eventLine: integer('event_line').notNull(),
    station: text('station').notNull(),
    /** Named as a column of Millrace's own recordsets once was. */
    rider: text('event_id').notNull(),
    tip: integer('tip').notNull().default(7),
  },
  (table) => [primaryKey({ columns: [table.eventSeq, table.eventLine] })],
);
export const riderHistory = history({
  name: 'ride-rider',
  table: rideRiders,
  owners: [{ entity: station, property: 'station' }],
});

export const values = pgTable('values', {
  id: bigint('id', { mode: 'bigint' }).primaryKey(),
  day: date('day', { mode: 'date' }),
  at: timestamp('at', { withTimezone: true, mode: 'date' }),
  amount: numeric('amount', { precision: 30, scale: 10 }),
  exact: bigint('exact', { mode: 'bigint' }),
  is: boolean('is').notNull().default(true),
  loose: json('loose'),
  tight: jsonb('tight'),
  words: text('words').array(),
  moments: timestamp('moments', { mode: 'date' }).array(),
  ratio: doublePrecision('ratio'),
  short: text('short').default('short'),
});
export const value = entity({ name: 'value', table: values, key: values.id });

const TABLES = [
  `create table stations (id text primary key, name text not null default 'unnamed', named_at timestamptz,
    status text default 'new', battery integer, "status at" timestamptz, bikes integer not null default 0,
    revenue numeric(12, 2), note text, constraint no_negative_revenue check (revenue >= 0))`,
  `create table keys (fleet text not null, number integer not null, zone text, seen_at timestamptz,
    trips integer not null default 0, primary key (fleet, number))`,
  `create table ride_riders (event_seq bigint not null, event_line integer not null, station text not null,
    event_id text not null, tip integer not null default 7, primary key (event_seq, event_line))`,
  `create table values (id bigint primary key, day date, at timestamptz, amount numeric(30, 10), exact bigint,
    "is" boolean not null default true, loose json, tight jsonb, words text[], moments timestamp[],
    ratio double precision, short text default 'short')`,
  'create table oracle (tags text[] not null)',
];

/**
 * The triggers of capture, made to fire for the worker's own statements as well and to write elsewhere: what they
 * write is what a transaction has changed.
 */
const ORACLE = captureStatements({
  entities: [station, bike, value],
  histories: [riderHistory],
  everything: 'all',
}).map((statement) =>
  statement
    .replaceAll(/insert into ("?millrace"?\.)?"?outbox"?/g, 'insert into public.oracle')
    .replaceAll(/ when \(current_setting\([^)]*\) is distinct from 'on'\)/g, ''),
);

export interface EffectsDatabase {
  readonly database: DevDatabase;
  readonly db: ReturnType<typeof connect>;
  readonly stop: () => Promise<void>;
  rows(statement: SQL): Promise<Record<string, unknown>[]>;
  /** Stores events in one transaction. */
  store(events: readonly StorableEvent[]): Promise<readonly KnownEvent[]>;
  /** The tags of what was stored since the last call: those that were written, and those of what really changed. */
  tags(): Promise<{ readonly written: string[]; readonly changed: string[] }>;
  empty(): Promise<void>;
}

export async function openEffectsDatabase(
  target: { readonly dataDir: string; readonly image?: string } | { readonly databaseUrl: string },
): Promise<EffectsDatabase> {
  const database = await startDevDatabase({ ...target, migrationsDir: FIXTURE.migrationsDir });
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const rows = async (statement: SQL) => (await db.execute(statement)).rows;
  for (const statement of TABLES) await db.execute(statement);
  await db.$client.transaction(ORACLE.map((statement) => db.$client.query(statement)));
  const unique = async (table: SQL): Promise<string[]> => {
    const found = await rows(sql`select distinct unnest(tags) as tag from ${table}`);
    return found.map(({ tag }) => String(tag)).sort();
  };
  const oracle = sql`oracle`;
  return {
    database,
    db,
    rows,
    stop: () => database.close(),
    store: (events) => storeEvents(db, events, crypto.randomUUID()),
    tags: async () => {
      const found = { written: await unique(sql`${millrace.outbox}`), changed: await unique(oracle) };
      await db.execute(sql`delete from ${millrace.outbox}`);
      await db.execute(sql`delete from ${oracle}`);
      return found;
    },
    empty: async () => {
      const { events, outbox, removedRows } = millrace;
      const own = sql`${events}, ${outbox}, ${removedRows}, ${stations}, ${bikes}, ${rideRiders}, ${values}`;
      await db.execute(sql`truncate ${own} restart identity`);
      await db.execute(sql`delete from ${oracle}`);
    },
  };
}

/** An event as it is stored; `at` is in seconds. */
export function storable(id: string, at: number, effects: readonly Effect[]): StorableEvent {
  return {
    ...{ source: '/test', id, type: 'test.v1', subject: null, data: { id } },
    time: new Date(at * 1_000).toISOString(),
    effects,
    tags: tagsOfEffects(effects),
  };
}

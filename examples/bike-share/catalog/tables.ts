import { sql } from 'drizzle-orm';
import { bigint, index, integer, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

/** The tables of the bike-share. `npm run db:generate` writes a migration after a change. */

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });

/** Where bikes are taken and brought back. */
export const stations = pgTable(
  'stations',
  {
    id: integer('id').primaryKey(),
    name: text('name').notNull(),
    district: text('district').notNull(),
    capacity: integer('capacity').notNull(),
    /** What the last report said, and when that was. */
    bikesAvailable: integer('bikes_available').notNull().default(0),
    docksFree: integer('docks_free').notNull().default(0),
    reportedAt: moment('reported_at'),
    /** Counted by rides. */
    ridesBegun: integer('rides_begun').notNull().default(0),
    ridesEnded: integer('rides_ended').notNull().default(0),
  },
  (table) => [index('stations_by_bikes').on(table.district, table.bikesAvailable, table.id)],
);

/** A place for one bike. Stations number their docks, so a dock is known by both. */
export const docks = pgTable(
  'docks',
  {
    stationId: integer('station_id').notNull(),
    number: integer('number').notNull(),
    state: text('state').notNull(),
  },
  (table) => [primaryKey({ columns: [table.stationId, table.number] })],
);

export const riders = pgTable('riders', {
  id: uuid('id').primaryKey(),
  plan: text('plan').notNull(),
});

/** A bike was taken at one station and brought back at another, or the same. */
export const rides = pgTable(
  'rides',
  {
    eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
    riderId: uuid('rider_id').notNull(),
    bike: text('bike').notNull(),
    startStation: integer('start_station').notNull(),
    startDock: integer('start_dock').notNull(),
    endStation: integer('end_station').notNull(),
    endDock: integer('end_dock').notNull(),
    minutes: integer('minutes').notNull(),
    /** When the bike was brought back. */
    occurredAt: moment('occurred_at').notNull(),
  },
  (table) => [
    index('rides_rider').on(table.riderId, table.occurredAt),
    index('rides_start').on(table.startStation, table.occurredAt),
    index('rides_end').on(table.endStation, table.occurredAt),
  ],
);

/** What a ride did at its two docks: two rows for one event, numbered by `eventLine`. */
export const movements = pgTable(
  'movements',
  {
    eventSeq: bigint('event_seq', { mode: 'number' }).notNull(),
    eventLine: integer('event_line').notNull(),
    stationId: integer('station_id').notNull(),
    dock: integer('dock').notNull(),
    bike: text('bike').notNull(),
    kind: text('kind').notNull(),
    occurredAt: moment('occurred_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.eventSeq, table.eventLine] }),
    index('movements_dock').on(table.stationId, table.dock, table.occurredAt),
  ],
);

/** What a station says of itself every few minutes. */
export const stationReports = pgTable(
  'station_reports',
  {
    eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
    stationId: integer('station_id').notNull(),
    bikes: integer('bikes').notNull(),
    docksFree: integer('docks_free').notNull(),
    occurredAt: moment('occurred_at').notNull(),
  },
  (table) => [index('station_reports_station').on(table.stationId, sql`${table.occurredAt} desc`)],
);

/** A dock that a rider found broken. */
export const dockFaults = pgTable(
  'dock_faults',
  {
    eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
    stationId: integer('station_id').notNull(),
    dock: integer('dock').notNull(),
    fault: text('fault').notNull(),
    occurredAt: moment('occurred_at').notNull(),
  },
  (table) => [index('dock_faults_dock').on(table.stationId, table.dock, table.occurredAt)],
);

/**
 * The tables of this deployment, declared with drizzle: tables of things with a key, and append-only tables of what
 * happened. After a change, `npm run db:generate` writes the migration.
 *
 *   import { bigint, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
 *
 *   export const stations = pgTable('stations', {
 *     id: text('id').primaryKey(),
 *     name: text('name').notNull(),
 *   });
 *
 *   // The table of a history has `event_seq`: the number of the event that a row was stored from.
 *   export const reports = pgTable('reports', {
 *     eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
 *     stationId: text('station_id').notNull(),
 *     occurredAt: timestamp('occurred_at', { withTimezone: true, mode: 'string' }).notNull(),
 *   });
 */
export {};

import { bigint, integer, jsonb, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import { schema } from './millrace-schema.ts';

/**
 * What retention removes, or has removed, outside Postgres: a row is written before the bytes are deleted, and stays as the
 * record of it. While a row of an artifact is here, no version that needs the artifact can be registered.
 */
export const removals = schema.table(
  'removals',
  {
    store: text('store', { enum: ['artifacts', 'datasets', 'drift'] }).notNull(),
    /** The SHA-256 of an artifact, the id of a dataset, or `<model>/<version>` of a profile. */
    id: text('id').notNull(),
    /** What stays known of it: the size, and of a dataset its request. */
    detail: jsonb('detail').notNull(),
    claimedAt: timestamp('claimed_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /** When the bytes were gone; null until then. */
    removedAt: timestamp('removed_at', { withTimezone: true, mode: 'string' }),
  },
  (table) => [primaryKey({ columns: [table.store, table.id] })],
);

/** The walk over R2 that counts what is kept and removes what is over its retention. One row. */
export const storageWalk = schema.table('storage_walk', {
  one: integer('one').primaryKey().default(1),
  /** No other step begins until then. */
  leasedUntil: timestamp('leased_until', { withTimezone: true, mode: 'string' }).notNull(),
  /** The last key that was seen; null while no walk is under way. */
  cursor: text('cursor'),
  begunAt: timestamp('begun_at', { withTimezone: true, mode: 'string' }),
  /** By the first part of the keys: objects, bytes and the oldest moment, of the walk that is under way. */
  counts: jsonb('counts').notNull(),
  /** The same of the last walk that came to its end. */
  counted: jsonb('counted'),
  endedAt: timestamp('ended_at', { withTimezone: true, mode: 'string' }),
  walks: bigint('walks', { mode: 'number' }).notNull().default(0),
});

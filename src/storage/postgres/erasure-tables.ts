import { bigint, boolean, jsonb, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { schema } from './millrace-schema.ts';

/** The text that the digests of erased events and of erased entities begin with. One row, made by the migration. */
export const erasureSalt = schema.table('erasure_salt', {
  one: boolean('one').primaryKey().default(true),
  salt: text('salt').notNull(),
});

/**
 * Digests of the sources and ids of erased events: such an event is not stored again, however late a queue or Kafka delivers
 * it. The table has nothing else of an event.
 */
export const erasedEvents = schema.table('erased_events', {
  /** SHA-256, in hexadecimal, of the salt, the source and the id. */
  digest: text('digest').primaryKey(),
  erasedAt: timestamp('erased_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
});

/** The progress of each search for the data of an entity, and of each erasure of them. The key is not stored. */
export const erasures = schema.table(
  'erasures',
  {
    /** SHA-256, in hexadecimal, of the salt, the entity and the key. */
    id: text('id').notNull(),
    mode: text('mode', { enum: ['list', 'erase', 'verify'] }).notNull(),
    /** Identifies the current attempt. */
    run: uuid('run').notNull(),
    state: text('state').notNull(),
    /** The number of the last event, or outbox row, that was examined; `lastSeq` is that of the last one to examine. */
    cursor: bigint('cursor', { mode: 'number' }).notNull(),
    lastSeq: bigint('last_seq', { mode: 'number' }).notNull(),
    /** Events that were examined. */
    examined: bigint('examined', { mode: 'number' }).notNull(),
    /** What was found, or removed, by place. It has no value of the entity's data. */
    found: jsonb('found').notNull(),
    startedAt: timestamp('started_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    endedAt: timestamp('ended_at', { withTimezone: true, mode: 'string' }),
  },
  (table) => [primaryKey({ columns: [table.id, table.mode] })],
);

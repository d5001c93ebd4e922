import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  index,
  jsonb,
  pgTable,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

/** The tables that Millrace keeps for itself, beside those of the catalog. */

/** Every accepted event once: the history that everything else can be made from again. */
export const events = pgTable(
  'events',
  {
    seq: bigserial('seq', { mode: 'number' }).primaryKey(),
    source: text('source').notNull(),
    id: text('id').notNull(),
    type: text('type').notNull(),
    /** The type as it was sent, where that is an earlier version than the one it is stored under. */
    sentAs: text('sent_as'),
    subject: text('subject'),
    data: jsonb('data').notNull(),
    /** When it happened, as its producer says. */
    occurredAt: timestamp('occurred_at', { withTimezone: true, mode: 'string' }).notNull(),
    /** When we came to know it: features as of a moment use only what was known by then. */
    recordedAt: timestamp('recorded_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /** The storing transaction's own id: its later statements find by it what was new to the first. */
    batch: uuid('batch').notNull(),
  },
  (table) => [
    uniqueIndex('events_source_id').on(table.source, table.id),
    index('events_batch').on(table.batch),
    index('events_occurred_at').on(table.occurredAt),
  ],
);

/** What a committed transaction invalidates, written in that transaction, kept until the relay has seen to it. */
export const outbox = pgTable(
  'outbox',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    /** The event behind the change, or null for a direct write. */
    eventSeq: bigint('event_seq', { mode: 'number' }),
    tags: text('tags').array().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    relayedAt: timestamp('relayed_at', { withTimezone: true, mode: 'string' }),
    /**
     * The moment of the tag clock at which its tags were invalidated, written together with `relayed_at`. How new
     * an answer is follows from the greatest of an epoch: whatever prunes this table keeps that row.
     */
    relayedEpoch: text('relayed_epoch'),
    relayedSeq: bigint('relayed_seq', { mode: 'number' }),
  },
  (table) => [
    index('outbox_pending').on(table.id).where(sql`${table.relayedAt} is null`),
    // Rows that wait are not in it, so that writing one costs nothing more.
    index('outbox_relayed')
      .on(table.relayedEpoch, table.relayedSeq)
      .where(sql`${table.relayedEpoch} is not null`),
  ],
);

/** Events that broke their contract or a blocking rule, as they came, with the reason. */
export const quarantine = pgTable(
  'quarantine',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    /** SHA-256 of the raw event and the reason: the same bad event sent again is kept once. */
    fingerprint: text('fingerprint').notNull(),
    source: text('source'),
    eventId: text('event_id'),
    type: text('type'),
    reason: text('reason').notNull(),
    pointer: text('pointer').notNull(),
    detail: text('detail').notNull(),
    raw: jsonb('raw').notNull(),
    receivedAt: timestamp('received_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /** `open` until somebody releases or discards it. */
    state: text('state', { enum: ['open', 'released', 'discarded'] })
      .notNull()
      .default('open'),
    resolvedAt: timestamp('resolved_at', { withTimezone: true, mode: 'string' }),
  },
  (table) => [
    uniqueIndex('quarantine_fingerprint').on(table.fingerprint),
    index('quarantine_reason').on(table.reason),
    index('quarantine_event').on(table.source, table.eventId),
  ],
);

/** Who did what to data that others had sent; nothing is ever changed or deleted here. */
export const auditLog = pgTable('audit_log', {
  id: bigserial('id', { mode: 'number' }).primaryKey(),
  at: timestamp('at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
  action: text('action').notNull(),
  target: text('target').notNull(),
  detail: jsonb('detail').notNull(),
});

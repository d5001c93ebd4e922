import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  index,
  integer,
  jsonb,
  pgSchema,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

/**
 * The tables that Millrace keeps for itself, in a Postgres schema of their own: the catalog's tables are the user's
 * and may have any name. SQL text names these by interpolating them: `insert into ${millrace.outbox} …`. After a
 * change: `npm run db:generate:millrace`.
 */
export const schema = pgSchema('millrace');

/** Every accepted event once: the history that everything else can be made from again. */
export const events = schema.table(
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
    // With `seq`, for a batch is read page by page: without it the planner may walk all of history instead.
    index('events_batch_seq').on(table.batch, table.seq),
    index('events_occurred_at').on(table.occurredAt),
    index('events_recorded_at').on(table.recordedAt),
  ],
);

/**
 * When rows that an event or the API removed were removed last. An event that happened before, and arrives after, does
 * not bring the row back.
 */
export const removedRows = schema.table(
  'removed_rows',
  {
    entity: text('entity').notNull(),
    /** The canonical text of the key. */
    key: text('key').notNull(),
    removedAt: timestamp('removed_at', { withTimezone: true, mode: 'string' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.entity, table.key] })],
);

/** What a committed transaction invalidates, written in that transaction, kept until the relay has seen to it. */
export const outbox = schema.table(
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
    // For the status of an event.
    index('outbox_event').on(table.eventSeq).where(sql`${table.eventSeq} is not null`),
    index('outbox_pending').on(table.id).where(sql`${table.relayedAt} is null`),
    // Rows that wait are not in it, so that writing one costs nothing more.
    index('outbox_relayed')
      .on(table.relayedEpoch, table.relayedSeq)
      .where(sql`${table.relayedEpoch} is not null`),
  ],
);

/** Events that broke their contract or a blocking rule, as they came, with the reason. */
export const quarantine = schema.table(
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
    /** The call that put it here; null for what is no event, as a dead letter. */
    batch: uuid('batch'),
  },
  (table) => [
    index('quarantine_batch_id').on(table.batch, table.id).where(sql`${table.batch} is not null`),
    uniqueIndex('quarantine_fingerprint').on(table.fingerprint),
    index('quarantine_reason').on(table.reason),
    index('quarantine_event').on(table.source, table.eventId),
    index('quarantine_received_at').on(table.receivedAt),
  ],
);

/**
 * Transactions whose events have not been seen to be in the quality score yet: written in the transaction itself, so
 * that one is scored even where its worker died behind the commit. A row for each transaction, not for each event.
 */
export const qualityPending = schema.table('quality_pending', {
  batch: uuid('batch').primaryKey(),
  recordedAt: timestamp('recorded_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
});

/** Who did what to data that others had sent; nothing is ever changed or deleted here. */
export const auditLog = schema.table('audit_log', {
  id: bigserial('id', { mode: 'number' }).primaryKey(),
  at: timestamp('at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
  action: text('action').notNull(),
  target: text('target').notNull(),
  detail: jsonb('detail').notNull(),
});

/** Runs of jobs, as OpenLineage has them: what a job did within a minute, or one training. */
export const lineageRuns = schema.table(
  'lineage_runs',
  {
    /** Of a minute's run it follows from the job, its subject and the minute, so that all isolates mean the same. */
    id: uuid('id').primaryKey(),
    job: text('job', { enum: ['ingest', 'fold', 'train', 'predict'] }).notNull(),
    /** The model of a training or a prediction, else empty; with its version, where that is known beforehand. */
    subject: text('subject').notNull(),
    version: text('version').notNull(),
    state: text('state', { enum: ['RUNNING', 'COMPLETE', 'FAIL', 'ABORT'] }).notNull(),
    startedAt: timestamp('started_at', { withTimezone: true, mode: 'string' }).notNull(),
    endedAt: timestamp('ended_at', { withTimezone: true, mode: 'string' }),
    /** The minute that it covers, or null for a training. */
    windowFrom: timestamp('window_from', { withTimezone: true, mode: 'string' }),
    windowTo: timestamp('window_to', { withTimezone: true, mode: 'string' }),
    /** From when on a sweep ends it. */
    dueAt: timestamp('due_at', { withTimezone: true, mode: 'string' }).notNull(),
    /** The numbers of the first and the last event that it read or stored. */
    firstSeq: bigint('first_seq', { mode: 'number' }),
    lastSeq: bigint('last_seq', { mode: 'number' }),
    /** Whole numbers by name; what isolates tell of one run is added up. */
    counts: jsonb('counts').notNull(),
    /** What is known of it beside numbers: sources, the snapshot of a training, why it failed. */
    detail: jsonb('detail').notNull(),
  },
  (table) => [
    index('lineage_runs_job').on(table.job, table.subject, table.startedAt),
    index('lineage_runs_due').on(table.dueAt).where(sql`${table.endedAt} is null`),
    index('lineage_runs_ended').on(table.endedAt),
    index('lineage_runs_version').on(table.version),
  ],
);

/** That a run began, and that it ended: one row each, whoever tells it how often. */
export const lineageEvents = schema.table(
  'lineage_events',
  {
    seq: bigserial('seq', { mode: 'number' }).primaryKey(),
    runId: uuid('run_id')
      .notNull()
      .references(() => lineageRuns.id, { onDelete: 'cascade' }),
    isEnd: boolean('is_end').notNull(),
    /** The writing transaction: a reader that goes by it never passes one that commits later. */
    tx: bigint('tx', { mode: 'number' }).notNull().default(sql`(pg_current_xact_id()::text)::bigint`),
  },
  (table) => [
    uniqueIndex('lineage_events_run').on(table.runId, table.isEnd),
    index('lineage_events_tx').on(table.tx, table.seq),
  ],
);

/** Computed predictions, as many as the budget allows: what their lineage cannot be derived without. */
export const lineagePredictions = schema.table(
  'lineage_predictions',
  {
    id: uuid('id').primaryKey(),
    at: timestamp('at', { withTimezone: true, mode: 'string' }).notNull(),
    model: text('model').notNull(),
    version: text('version').notNull(),
    /** Whose features were read; null where a tensor was sent. */
    entity: text('entity'),
    key: text('key'),
    /** The features' values as the model was given them, or null beyond the limit. */
    features: jsonb('features'),
    /** How many items were ranked. */
    items: integer('items').notNull(),
    /** `model`, `popularity`, `tensor` or `fallback`; and why it was not the model, if so. */
    source: text('source').notNull(),
    degraded: text('degraded'),
  },
  (table) => [
    index('lineage_predictions_key').on(table.entity, table.key, table.at),
    index('lineage_predictions_version').on(table.version, table.at),
    index('lineage_predictions_at').on(table.at),
  ],
);

/**
 * What retention has deleted: a rebuild of what was made from it would be less than what there is. Written by the
 * statement that deletes.
 */
export const pruned = schema.table('pruned', {
  /** `events:<type>`, `outbox`, `quarantine:closed` or `quarantine:open`. */
  target: text('target').primaryKey(),
  rows: bigint('rows', { mode: 'number' }).notNull(),
  /** The newest moment of what was deleted: from after it on, everything is there. */
  until: timestamp('until', { withTimezone: true, mode: 'string' }).notNull(),
});

/** How far each replay of history has come; a rebuild is the one named `rebuild`. */
export const replays = schema.table('replays', {
  /** What is asked for, so that asking again goes on. */
  id: text('id').primaryKey(),
  /** Of this attempt: what is left of one before it is refused. */
  run: uuid('run').notNull(),
  state: text('state', { enum: ['opening', 'open', 'flipping', 'done'] }).notNull(),
  /** The number of the last event that was handled, and of the last that is to be. */
  cursor: bigint('cursor', { mode: 'number' }).notNull(),
  lastSeq: bigint('last_seq', { mode: 'number' }).notNull(),
  total: bigint('total', { mode: 'number' }).notNull(),
  replayed: bigint('replayed', { mode: 'number' }).notNull(),
  startedAt: timestamp('started_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
  endedAt: timestamp('ended_at', { withTimezone: true, mode: 'string' }),
  /** The digests of a rebuild, once it is done. */
  outcome: jsonb('outcome'),
});

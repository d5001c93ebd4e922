import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  index,
  integer,
  jsonb,
  primaryKey,
  smallint,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import { schema } from './millrace-schema.ts';

/**
 * Millrace's own tables. SQL text names them by interpolation: `insert into ${millrace.outbox} …`. After a change, run
 * `npm run db:generate:millrace`.
 */
export { erasedEvents, erasureSalt, erasures } from './erasure-tables.ts';
export { removals, storageWalk } from './lifecycle-tables.ts';
export { schema } from './millrace-schema.ts';
export { modelAliases, modelRollouts, modelVersions } from './model-tables.ts';

/** The condition of the indexes of row changes. A statement that is to use them has this text in its condition. */
export const IS_ROW_CHANGE = sql.raw(`type like 'millrace.row.%'`);

/** Every accepted event, once. This is the history from which all derived data can be rebuilt. */
export const events = schema.table(
  'events',
  {
    seq: bigserial('seq', { mode: 'number' }).primaryKey(),
    source: text('source').notNull(),
    id: text('id').notNull(),
    type: text('type').notNull(),
    /** The type as the producer sent it, if that is an earlier version than the stored type. */
    sentAs: text('sent_as'),
    subject: text('subject'),
    /** `dataschema` and the extension attributes of the CloudEvent, such as `traceparent`; null if it has none. */
    extensions: jsonb('extensions'),
    data: jsonb('data').notNull(),
    /** When the event happened, according to its producer. */
    occurredAt: timestamp('occurred_at', { withTimezone: true, mode: 'string' }).notNull(),
    /** When Millrace stored the event. Features as of a moment use only events that were recorded by then. */
    recordedAt: timestamp('recorded_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /**
     * The id of the storing transaction. Later statements of the transaction use it to find the events that its first
     * statement inserted.
     */
    batch: uuid('batch').notNull(),
  },
  (table) => [
    uniqueIndex('events_source_id').on(table.source, table.id),
    // Includes `seq` because a batch is read page by page. Without it the planner may scan the whole history.
    index('events_batch_seq').on(table.batch, table.seq),
    index('events_occurred_at').on(table.occurredAt),
    index('events_recorded_at').on(table.recordedAt),
    // The changes of one row, and those of all rows in their order. No other event is in them.
    index('events_row_key').on(table.type, sql`(${table.data} ->> 'key')`, table.seq).where(IS_ROW_CHANGE),
    index('events_row_changes').on(table.type, table.seq).where(IS_ROW_CHANGE),
  ],
);

/**
 * The latest time at which an event or the API removed a row. An event that happened before the removal and arrives
 * after it does not restore the row.
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

/**
 * What a committed transaction invalidates. The transaction itself writes the row, and the relay marks it when the tags
 * are invalidated and the change is enqueued.
 */
export const outbox = schema.table(
  'outbox',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    /** The event behind the change, or null for a direct write. */
    eventSeq: bigint('event_seq', { mode: 'number' }),
    tags: text('tags').array().notNull(),
    /**
     * The storing transaction, for a change that events made to a row of an entity (`event_seq` is null then: several
     * events may have changed the row). An event's status finds the changes of its rows by it.
     */
    batch: uuid('batch'),
    /** Whether the change is of the bulk lane. A transaction says so with the setting `millrace.bulk` (`captured.ts`). */
    isBulk: boolean('is_bulk')
      .notNull()
      .default(sql`coalesce(current_setting('millrace.bulk', true), '') = 'on'`),
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    relayedAt: timestamp('relayed_at', { withTimezone: true, mode: 'string' }),
    /**
     * The moment of the tag clock at which the tags were invalidated, written together with `relayed_at`. The greatest
     * moment of an epoch shows how new an answer is, so pruning must keep that row.
     */
    relayedEpoch: text('relayed_epoch'),
    relayedSeq: bigint('relayed_seq', { mode: 'number' }),
    /** `traceparent` of the storing (W3C Trace Context), if the trace of the change is recorded. */
    trace: text('trace'),
  },
  (table) => [
    // For the lookup of an event's status: by the event, and by its transaction.
    index('outbox_event').on(table.eventSeq).where(sql`${table.eventSeq} is not null`),
    index('outbox_batch').on(table.batch).where(sql`${table.batch} is not null`),
    // The relay reads live changes first.
    index('outbox_pending').on(table.isBulk, table.id).where(sql`${table.relayedAt} is null`),
    // A training looks up the newest traces that it has learned from.
    index('outbox_trace').on(table.eventSeq).where(sql`${table.trace} is not null`),
    // The index excludes pending rows, so that writing a pending row costs nothing more.
    index('outbox_relayed')
      .on(table.relayedEpoch, table.relayedSeq)
      .where(sql`${table.relayedEpoch} is not null`),
  ],
);

/**
 * The epochs of the tag clock in which changes were relayed, each recorded together with its first relayed change. A
 * reader whose clock has another epoch learns from it that a change may have been relayed in a newer one.
 */
export const epochs = schema.table('epochs', {
  epoch: text('epoch').primaryKey(),
  firstRelayedAt: timestamp('first_relayed_at', { withTimezone: true, mode: 'string' })
    .notNull()
    .defaultNow(),
});

/** Events that broke their contract or a blocking rule, unchanged, with the reason. */
export const quarantine = schema.table(
  'quarantine',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    /** SHA-256 of the raw event and the reason. It keeps a bad event once, however often it is sent. */
    fingerprint: text('fingerprint').notNull(),
    source: text('source'),
    eventId: text('event_id'),
    type: text('type'),
    reason: text('reason').notNull(),
    pointer: text('pointer').notNull(),
    detail: text('detail').notNull(),
    raw: jsonb('raw').notNull(),
    receivedAt: timestamp('received_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /** `open` until an operator releases or discards the event. */
    state: text('state', { enum: ['open', 'released', 'discarded'] })
      .notNull()
      .default('open'),
    resolvedAt: timestamp('resolved_at', { withTimezone: true, mode: 'string' }),
    /** The id of the call that quarantined the event; null for an entry that is not an event, such as a dead letter. */
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
 * Transactions whose events are not yet known to be in the quality score. The transaction itself writes the row, so its
 * events are scored even if the worker dies after the commit. One row for each transaction, not for each event.
 */
export const qualityPending = schema.table('quality_pending', {
  batch: uuid('batch').primaryKey(),
  recordedAt: timestamp('recorded_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
});

/**
 * What the callers of `/v1/admin` did. A trigger numbers the entries, chains them by hash and sets their time; others
 * refuse UPDATE, DELETE and TRUNCATE (migration 0009).
 */
export const auditLog = schema.table(
  'audit_log',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    at: timestamp('at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /** `key:<id>`, or `token:<issuer>#<subject>`. */
    principal: text('principal').notNull().default('unknown'),
    action: text('action').notNull(),
    target: text('target').notNull(),
    /** `begun`, `done` or `failed`. */
    outcome: text('outcome').notNull().default('done'),
    /** The entry that began the action, for the entry that ends it. */
    begun: bigint('begun', { mode: 'number' }),
    /** What was asked for. */
    detail: jsonb('detail').notNull(),
    before: jsonb('before'),
    after: jsonb('after'),
    /** The hash of the entry before this one; empty for the first. */
    previousHash: text('previous_hash').notNull(),
    /** SHA-256, in hexadecimal, of `previous_hash` and `millrace.audit_content` of the entry. */
    hash: text('hash').notNull(),
  },
  (table) => [
    index('audit_log_principal').on(table.principal, table.id),
    index('audit_log_action').on(table.action, table.id),
    index('audit_log_at').on(table.at),
  ],
);

/** The keys of callers. A key's secret is stored as its SHA-256 alone, and a revoked key stays in the table. */
export const apiKeys = schema.table(
  'api_keys',
  {
    /** Sixteen hexadecimal digits, which the key's text contains. */
    id: text('id').primaryKey(),
    /** The order of creation, by which lists are paged. */
    seq: bigserial('seq', { mode: 'number' }).notNull(),
    name: text('name').notNull(),
    /** They never change: cached answers may depend on them. */
    scopes: text('scopes').array().notNull(),
    /** Texts by name. They never change either. */
    claims: jsonb('claims').notNull().default({}),
    hash: text('hash').notNull(),
    /** The hash from before the last rotation, and until when it stays valid. */
    previousHash: text('previous_hash'),
    previousUntil: timestamp('previous_until', { withTimezone: true, mode: 'string' }),
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /** The id of the key that created it. */
    createdBy: text('created_by').notNull(),
    expiresAt: timestamp('expires_at', { withTimezone: true, mode: 'string' }),
    /** Written at most once a minute. */
    lastUsedAt: timestamp('last_used_at', { withTimezone: true, mode: 'string' }),
    revokedAt: timestamp('revoked_at', { withTimezone: true, mode: 'string' }),
    /** Units in a calendar day and in a calendar month, in UTC; null: without a quota. */
    quotaDay: bigint('quota_day', { mode: 'number' }),
    quotaMonth: bigint('quota_month', { mode: 'number' }),
  },
  (table) => [uniqueIndex('api_keys_seq').on(table.seq)],
);

/** Runs of jobs in the sense of OpenLineage: the work of a job within one minute, or one training. */
export const lineageRuns = schema.table(
  'lineage_runs',
  {
    /**
     * For a minute's run, the id is derived from the job, its subject and the minute, so that all isolates compute the
     * same id.
     */
    id: uuid('id').primaryKey(),
    job: text('job', { enum: ['ingest', 'fold', 'train', 'predict', 'registry'] }).notNull(),
    /**
     * The model of a training, a prediction or a change of the registry, otherwise empty. It includes the version if that is known beforehand.
     */
    subject: text('subject').notNull(),
    version: text('version').notNull(),
    state: text('state', { enum: ['RUNNING', 'COMPLETE', 'FAIL', 'ABORT'] }).notNull(),
    startedAt: timestamp('started_at', { withTimezone: true, mode: 'string' }).notNull(),
    endedAt: timestamp('ended_at', { withTimezone: true, mode: 'string' }),
    /** The minute that the run covers, or null for a training and a change of the registry. */
    windowFrom: timestamp('window_from', { withTimezone: true, mode: 'string' }),
    windowTo: timestamp('window_to', { withTimezone: true, mode: 'string' }),
    /** The time from which a sweep ends the run. */
    dueAt: timestamp('due_at', { withTimezone: true, mode: 'string' }).notNull(),
    /** The numbers of the first and the last event that the run read or stored. */
    firstSeq: bigint('first_seq', { mode: 'number' }),
    lastSeq: bigint('last_seq', { mode: 'number' }),
    /** Integers by name. The counts that several isolates report for one run are added up. */
    counts: jsonb('counts').notNull(),
    /** Facts about the run that are not numbers: sources, the snapshot of a training, the reason of a failure. */
    detail: jsonb('detail').notNull(),
  },
  (table) => [
    index('lineage_runs_job').on(table.job, table.subject, table.startedAt),
    index('lineage_runs_due').on(table.dueAt).where(sql`${table.endedAt} is null`),
    index('lineage_runs_ended').on(table.endedAt),
    index('lineage_runs_version').on(table.version),
  ],
);

/**
 * What isolates have reported of the runs that have not ended. The reports of a run are spread over shards, because
 * hundreds of isolates report each minute's run and would wait for each other's locks on one row. Ending a run adds
 * its tallies to it and deletes them.
 */
export const lineageTallies = schema.table(
  'lineage_tallies',
  {
    runId: uuid('run_id').notNull(),
    shard: smallint('shard').notNull(),
    firstSeq: bigint('first_seq', { mode: 'number' }),
    lastSeq: bigint('last_seq', { mode: 'number' }),
    counts: jsonb('counts').notNull(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.shard] })],
);

/** The beginning and the end of each run: at most one row of each, however often isolates report it. */
export const lineageEvents = schema.table(
  'lineage_events',
  {
    seq: bigserial('seq', { mode: 'number' }).primaryKey(),
    runId: uuid('run_id')
      .notNull()
      .references(() => lineageRuns.id, { onDelete: 'cascade' }),
    isEnd: boolean('is_end').notNull(),
    /** The id of the writing transaction. A reader that pages by it never skips a transaction that commits later. */
    tx: bigint('tx', { mode: 'number' }).notNull().default(sql`(pg_current_xact_id()::text)::bigint`),
  },
  (table) => [
    uniqueIndex('lineage_events_run').on(table.runId, table.isEnd),
    index('lineage_events_tx').on(table.tx, table.seq),
  ],
);

/** Computed predictions, up to the budget. Their lineage cannot be derived without them. */
export const lineagePredictions = schema.table(
  'lineage_predictions',
  {
    id: uuid('id').primaryKey(),
    at: timestamp('at', { withTimezone: true, mode: 'string' }).notNull(),
    model: text('model').notNull(),
    version: text('version').notNull(),
    /** The entity whose features were read; null if the request sent a tensor. */
    entity: text('entity'),
    key: text('key'),
    /** The feature values that the model received, or null if they exceed the limit. */
    features: jsonb('features'),
    /** How many items were ranked. */
    items: integer('items').notNull(),
    /**
     * `model`, `popularity`, `tensor` or `fallback`. `degraded` is the reason why the model did not answer, if it did
     * not.
     */
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
 * What retention has deleted. A rebuild from the events that remain would yield less data than there is now. The
 * deleting statement writes the row.
 */
export const pruned = schema.table('pruned', {
  /**
   * `events:<type>`, `row-changes:<type>`, `outbox`, `quarantine:closed`, `quarantine:open`, `lineage:runs`,
   * `lineage:predictions`, or what is not in Postgres: `served`, `datasets`, `training`, `artifacts`, `drift`.
   */
  target: text('target').primaryKey(),
  rows: bigint('rows', { mode: 'number' }).notNull(),
  /** The newest timestamp among the deleted rows. Everything after it is complete. */
  until: timestamp('until', { withTimezone: true, mode: 'string' }).notNull(),
  /** Of `row-changes:<type>`: the number of the last change that was examined. */
  position: bigint('position', { mode: 'number' }),
  /** When rows were deleted last; null if that was before Millrace recorded it. */
  cleanedAt: timestamp('cleaned_at', { withTimezone: true, mode: 'string' }),
});

/**
 * The definitions of features that a release has had. A definition is `filling` until a backfill has built its feature from
 * history, and `pruned` if retention has deleted events that it needs.
 */
export const featureVersions = schema.table(
  'feature_versions',
  {
    entity: text('entity').notNull(),
    feature: text('feature').notNull(),
    /** SHA-256, in hexadecimal, of what decides the contents of the feature's cells. */
    digest: text('digest').notNull(),
    state: text('state', { enum: ['filling', 'pruned', 'ready'] }).notNull(),
    /** The attempt of the replay `backfill` that builds it, or has built it. */
    run: uuid('run'),
    /** Since when it has the state. */
    since: timestamp('since', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /** Since when the catalog has not had it; null while it has. */
    retiredAt: timestamp('retired_at', { withTimezone: true, mode: 'string' }),
  },
  (table) => [primaryKey({ columns: [table.entity, table.feature, table.digest] })],
);

/** The progress of each replay of history. The replay named `rebuild` is the rebuild, `backfill` that of new features. */
export const replays = schema.table('replays', {
  /** Identifies the requested replay, so that a repeated request continues it. */
  id: text('id').primaryKey(),
  /** Identifies the current attempt. Writes that an earlier attempt left behind are refused. */
  run: uuid('run').notNull(),
  state: text('state', { enum: ['opening', 'open', 'flipping', 'done'] }).notNull(),
  /** The number of the last event that was handled; `lastSeq` is the number of the last event to handle. */
  cursor: bigint('cursor', { mode: 'number' }).notNull(),
  lastSeq: bigint('last_seq', { mode: 'number' }).notNull(),
  total: bigint('total', { mode: 'number' }).notNull(),
  replayed: bigint('replayed', { mode: 'number' }).notNull(),
  startedAt: timestamp('started_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
  endedAt: timestamp('ended_at', { withTimezone: true, mode: 'string' }),
  /** The digests of a rebuild, set when it is done. */
  outcome: jsonb('outcome'),
});

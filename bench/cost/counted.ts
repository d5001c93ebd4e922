/**
 * What reads, events and reports cost the platform, as counted by its own counters. The tests that are named beside
 * each figure compare it with what they count, so a figure here cannot differ from the code. `npm run cost` multiplies
 * them with prices.
 */

/** Calls of bindings that one read makes, by binding and method. `test/workers/read-operations.test.ts` */
export const READ_OPERATIONS = {
  /** An answer from the isolate's memory. It writes no line to the log either. */
  warm: {},
  /** A miss of a view in the default tiers, which reads the origin. No tier has had the key. */
  fill: {},
  /** A miss where a tier has an entry that is no longer valid: the key is contended, so the fill asks its gate. */
  refill: { 'FILL_GATE.enter': 1, 'FILL_GATE.complete': 1 },
  /** The same of a view without `singleFlight`. */
  refillAlone: {},
  /** A miss of a view whose policy names `kv`. */
  fillWithKv: { 'CACHE.get': 1, 'CACHE.put': 1 },
  /** "Not found" of such a view: KV is asked, and not written. */
  notFoundWithKv: { 'CACHE.get': 1 },
} as const;

/** Rows that an object's SQL reads and writes: `[read, written]`. `test/workers/object-costs.test.ts` */
export const COUNTED_ROWS = {
  /** `CacheStats`, at most every `SAVE_EVERY_MS`, whatever the number of isolates and series. */
  statisticsSave: [1, 3],
  /** `QueuedEvents`, at most every `SAVE_EVERY_MS` of an object, whatever the number of requests with events. */
  queuedSave: [2, 1],
  /** `QualityWindow`, for a storing transaction. */
  qualityOfTransaction: [1, 2],
  /** `QualityWindow`, at most once a minute, for the buckets of one type of event, with 60 transactions. */
  qualityOfMinute: [65, 5],
  /** `TagClock` of the root, for an invalidation. */
  invalidation: [1, 1],
  /** `ChangeFeed`, for a batch of changes. */
  feedAppend: [1, 1],
  /** `RateLimiter`, for a question about the quota of a key. Buckets are in memory. */
  quotaQuestion: [1, 1],
  /** `Idempotency`, for a request with an `Idempotency-Key`; a day later its row is deleted, which writes a third. */
  idempotencyBegin: [0, 1],
  idempotencyKeep: [2, 1],
  /** `TrainingRuns`, for a step of a run. */
  trainingStep: [1, 2],
  /** `Rollouts`, every two seconds while a rollout is under way, whatever the number of isolates. */
  rolloutVerdict: [1, 1],
  /** `DriftWatches`, for a report of an isolate that completes 25 rows of a version. */
  driftRows: [2, 2],
} as const;

/** Rows of a fold into a `FeatureShard`. `test/workers/feature-shard-rows.long.test.ts` */
export const FOLD_ROWS = {
  /** For each row with cells that an event adds to: a pack for each width of tiles, or an item. Read: an upper bound. */
  ofRow: { read: 3, written: 1 },
  /** For each call: the numbers of its events and the totals, which are one row. */
  ofCall: { read: 3, written: 1 },
  /** The rows with cells that a purchase of the test catalog adds to, in four features of its customer. */
  ofPurchase: { features: 4, rows: 3 },
} as const;

/** The fold that a request with `Prefer: wait` waits for. `test/workers/waiting-folds.test.ts` */
export const WAITED_FOLD = {
  /** Calls for an event that no other joins, in features of two entities: folding, and telling the shards that it is invalidated. */
  alone: { 'FEATURE_SHARD.fold': 2, 'TAG_CLOCK.invalidateTags': 1, 'FEATURE_SHARD.announced': 2 },
  /** The most calls for each of 50 such events of different keys that arrive while one is folded: 32 shards are folded and told. */
  callsTogetherMax: 1.4,
  /** Rows that a shard reads for an event that it has folded before: the consumer repeats each fold. It writes none. */
  rowsOfRepeat: 2,
} as const;

/**
 * The most bytes that messages add. A message of the events queue has a frame, and `event` for each event beside what
 * its producer sent; one of the changes queue has `change` for each event beside its data, for an event with two
 * entities. `test/unit/queues/message-bytes.test.ts`
 */
export const MESSAGE_BYTES = { frame: 60, event: 30, change: 300 } as const;

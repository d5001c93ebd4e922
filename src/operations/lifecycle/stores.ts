import type { RetentionPolicy } from '../../define/retention.ts';
import type { PREFIXES } from './walk.ts';

/** Where something is kept. */
export type Place = 'postgres' | 'object' | 'r2' | 'elsewhere';

/** A store: a table of `millrace`, a class of objects, a prefix of R2, or what another part of the platform keeps. */
export interface Store {
  readonly name: string;
  readonly place: Place;
  /** What bounds it: its rows, its age, or what removes it. */
  readonly bound: string;
  /** The entries of the catalog's retention that bound it. */
  readonly declared: readonly (keyof RetentionPolicy)[];
  /** What the targets in `pruned` that record its deletions begin with. */
  readonly targets: readonly string[];
  /** The moment of its oldest row, and the indexed column by which that row is found; null if there is none. */
  readonly oldest: { readonly at: string; readonly by: string } | null;
  /** The test that holds the bound, below `test/`; null if none does. */
  readonly test: string | null;
}

const by = (at: string, order = at) => ({ at, by: order });
type Given = Pick<Store, 'bound' | 'test'> & Partial<Store>;
const table = (name: string, given: Given): Store => ({
  ...{ name, place: 'postgres', declared: [], targets: [], oldest: null, ...given },
});
const object = (name: string, bound: string, test: string): Store => ({
  ...{ name, place: 'object', bound, declared: [], targets: [], oldest: null, test: `workers/${test}` },
});
const prefix = (name: (typeof PREFIXES)[number], given: Given): Store => ({
  ...{ name: `${name}/`, place: 'r2', declared: [], targets: [], oldest: null, ...given },
});
const elsewhere = (name: string, bound: string, test: string | null): Store => ({
  ...{ name, place: 'elsewhere', bound, declared: [], targets: [], oldest: null, test },
});

const RETENTION = 'unit/storage/retention.test.ts';
const ERASURES = 'unit/storage/erasures.test.ts';
const LINEAGE = 'unit/storage/lineage.test.ts';
const VERSIONS = 'unit/storage/model-versions.test.ts';
const REMOVALS = 'unit/storage/removals.test.ts';
const STEP = 'unit/operations/lifecycle/step.test.ts';

/** Everything that Millrace keeps. A test compares it with the code and with `docs/lifecycle.md`. */
export const STORES: readonly Store[] = [
  table('events', {
    bound: 'for ever, or `events` of its type; changes of rows `rowChanges`',
    ...{ declared: ['events', 'rowChanges'], targets: ['events:', 'row-changes:'] },
    ...{ oldest: by('recorded_at'), test: RETENTION },
  }),
  table('outbox', {
    bound: 'pending for ever; relayed for ever, or `outbox`; of each epoch one row for ever',
    ...{ declared: ['outbox'], targets: ['outbox'], oldest: by('created_at', 'id'), test: RETENTION },
  }),
  table('quarantine', {
    bound: 'for ever, or `quarantineClosed` and `quarantineOpen`; dead letters are in it',
    ...{ declared: ['quarantineClosed', 'quarantineOpen'], targets: ['quarantine:'] },
    ...{ oldest: by('received_at'), test: RETENTION },
  }),
  table('quality_pending', {
    bound: 'until the events of the transaction are scored',
    test: 'unit/storage/quality.test.ts',
  }),
  table('removed_rows', { bound: 'for ever, a row for each removed row of an entity', test: ERASURES }),
  table('epochs', {
    bound: 'for ever, a row for each epoch of the clock',
    test: 'unit/storage/reflecting.test.ts',
  }),
  table('audit_log', {
    bound: 'for ever; triggers refuse its deletion',
    ...{ oldest: by('at'), test: 'unit/storage/audit.test.ts' },
  }),
  table('api_keys', {
    bound: 'for ever, revoked keys included',
    test: 'e2e/api-keys.long.test.ts',
  }),
  table('lineage_runs', {
    bound: '30 days; trainings and changes of the registry 730, and longer for a version that an alias names',
    ...{ targets: ['lineage:runs'], oldest: by('ended_at'), test: LINEAGE },
  }),
  table('lineage_events', { bound: 'as long as their run', test: LINEAGE }),
  table('lineage_tallies', { bound: 'until the run has ended', test: LINEAGE }),
  table('lineage_predictions', {
    bound: '30 days',
    ...{ targets: ['lineage:predictions'], oldest: by('at'), test: LINEAGE },
  }),
  table('model_versions', { bound: 'for ever, without their bytes', test: VERSIONS }),
  table('model_aliases', { bound: 'for ever, a row for each change', test: VERSIONS }),
  table('model_rollouts', { bound: 'for ever, a row for each step', test: 'workers/rollouts.test.ts' }),
  table('feature_versions', {
    bound: 'for ever, a row for each definition that a release has had',
    test: 'unit/storage/feature-versions.test.ts',
  }),
  table('replays', { bound: 'a row for each requested replay', test: 'e2e/replay.long.test.ts' }),
  table('erasure_salt', { bound: 'one row', test: ERASURES }),
  table('erased_events', { bound: 'for ever, a digest of each erased event', test: ERASURES }),
  table('erasures', { bound: 'for ever, at most three rows for each erased entity', test: ERASURES }),
  table('pruned', { bound: 'a row for each target of retention', test: RETENTION }),
  table('removals', { bound: '730 days after the removal', test: REMOVALS }),
  table('storage_walk', { bound: 'one row', test: STEP }),

  object('TagClock', 'the invalidations of the longest life of an entry', 'tag-clock.test.ts'),
  object(
    'FeatureShard',
    'cells for as long as a read can need them, then until the next midnight; numbers of folded events in blocks',
    'feature-shard-upkeep.long.test.ts',
  ),
  object('OutboxRelay', 'its alarm', 'outbox-relay.test.ts'),
  object('FillGate', 'nothing on disk', 'fill-gate.test.ts'),
  object('CacheStats', '9,000 series; counts of 30 days', 'cache-stats.test.ts'),
  object('QualityWindow', 'counts of 7 days; 200,000 ids for 25 h', 'quality-window.test.ts'),
  object('ChangeFeed', 'an hour, 100,000 changes and 32 MB', 'change-feed.test.ts'),
  object('QueuedEvents', 'a day, and 250,000 events of each of 4', 'queued-events.test.ts'),
  object('KafkaSource', 'one row of each partition', 'storage-costs.test.ts'),
  object('RateLimiter', 'one row for each key with a quota and its period', 'rate-limiter.test.ts'),
  object('Idempotency', 'two days, and 1 GB of each of 16', 'idempotency.test.ts'),
  {
    ...object('Datasets', '500 datasets, or `datasets`', 'datasets.test.ts'),
    declared: ['datasets'],
  },
  object('TrainingRuns', '200 runs', 'object-costs.test.ts'),
  object('Rollouts', 'the rollout that is under way, and 500 batches of its counts', 'rollouts.test.ts'),
  object('Feedback', '500,000 waiting trials; counts of 400 days', 'feedback.test.ts'),
  object('DriftWatches', 'three versions of each model', 'drift-watches.test.ts'),
  object(
    'Alerts',
    'counts of 30 days; 500 incidents of 500 entries; 200 silences; 500 waiting notices of a target',
    'alerts.test.ts',
  ),

  prefix('artifacts', {
    bound: 'for ever, or `models` after the last version that needs it was withdrawn',
    ...{ declared: ['models'], targets: ['artifacts'], test: REMOVALS },
  }),
  prefix('drift', {
    bound: 'as long as the bytes of its version',
    ...{ declared: ['models'], targets: ['drift'], test: REMOVALS },
  }),
  prefix('models', { bound: 'one copy of a manifest for each model', test: 'workers/models.test.ts' }),
  prefix('datasets', {
    bound: 'as long as the dataset is in `Datasets`',
    ...{ declared: ['datasets'], targets: ['datasets'], test: STEP },
  }),
  prefix('training', {
    bound: 'until the run has a version; of other runs as long as they are in `TrainingRuns`, or `training`',
    ...{ declared: ['training'], targets: ['training'], test: 'workers/training-runs-object.test.ts' },
  }),
  prefix('served', {
    bound: '90 days, or `served`',
    ...{ declared: ['served'], targets: ['served'], test: 'workers/feedback.test.ts' },
  }),

  elsewhere('tables of the catalog', 'for ever: a row of a history outlives its event', ERASURES),
  elsewhere(
    'tables of migrations',
    'a row for each migration, of Millrace and of the catalog',
    'unit/operations/diagnosis.test.ts',
  ),
  elsewhere('KV `CACHE`', 'the time to live of each entry, which the platform ends', null),
  elsewhere(
    'cache of a data centre',
    'the time to live of each entry, which the platform ends',
    'workers/colo-tier.test.ts',
  ),
  elsewhere('memory of isolates', 'a limit of bytes, the oldest first', 'unit/cache/memory-tier.test.ts'),
  elsewhere(
    'queues',
    'until they are consumed, and as long as the platform keeps messages (4 days by default)',
    null,
  ),
  elsewhere('logs and traces', 'whoever collects them decides', null),
];

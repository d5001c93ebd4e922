import { durableObjects } from '../src/composition/durable-objects.ts';
import { createWorker } from '../src/composition/worker.ts';
import type { TierName } from '../src/define/cache-policy.ts';
import { catalog } from '../test/support/catalog/index.ts';

/** Defined when the bench bundles this worker. */
declare const TIERS: readonly TierName[];

/** The fixture catalog, whose views name these tiers: the local platform's caches run in the process that is measured. */
const tiered = {
  ...catalog,
  views: catalog.views.map((view) => ({ ...view, policy: { ...view.policy, tiers: TIERS } })),
};

export const {
  Alerts,
  CacheStats,
  ChangeFeed,
  Datasets,
  DriftWatches,
  FeatureShard,
  Feedback,
  FillGate,
  Idempotency,
  KafkaSource,
  OutboxRelay,
  QualityWindow,
  QueuedEvents,
  RateLimiter,
  Rollouts,
  TagClock,
  TrainingRuns,
} = durableObjects(tiered);

export default createWorker(tiered);

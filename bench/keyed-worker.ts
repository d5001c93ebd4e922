import { durableObjects } from '../src/composition/durable-objects.ts';
import { createWorker } from '../src/composition/worker.ts';
import { catalog } from '../test/support/catalog/index.ts';

/** The fixture catalog, whose views ask for a key. The key has a limit that the bench does not reach. */
const keyed = {
  ...catalog,
  views: catalog.views.map((view) => ({ ...view, isPublic: false })),
  limits: { ...catalog.limits, key: { perSecond: 1_000_000, burstS: 10 } },
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
} = durableObjects(keyed);

export default createWorker(keyed);

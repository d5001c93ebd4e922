/** The worker of `src/index.ts` with the fixture catalog in place of the deployment's. */
import { durableObjects } from '../../../src/composition/durable-objects.ts';
import { createWorker } from '../../../src/composition/worker.ts';
import { catalog } from '../catalog/index.ts';

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
} = durableObjects(catalog);

export default createWorker(catalog);

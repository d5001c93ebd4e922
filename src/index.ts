import { catalog } from './catalog/index.ts';
import { durableObjects } from './composition/durable-objects.ts';
import { createWorker } from './composition/worker.ts';

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

/** The worker of `index.ts`, which counts what a training costs. */
import { durableObjects } from '../../../../src/composition/durable-objects.ts';
import { createWorker } from '../../../../src/composition/worker.ts';
import { countedClass, withCounts } from '../../../../test/support/worker/counted-objects.ts';
import { catalog } from '../../catalog/index.ts';

const classes = durableObjects(catalog);
export const {
  Alerts,
  CacheStats,
  ChangeFeed,
  DriftWatches,
  FeatureShard,
  Feedback,
  FillGate,
  Idempotency,
  KafkaSource,
  OutboxRelay,
  QueuedEvents,
  RateLimiter,
  Rollouts,
  TagClock,
} = classes;
export const Datasets = countedClass('Datasets', classes.Datasets, ['begin', 'read', 'alarm']);
export const QualityWindow = countedClass('QualityWindow', classes.QualityWindow, ['counts']);
export const TrainingRuns = countedClass('TrainingRuns', classes.TrainingRuns, ['begin', 'alarm']);

export default withCounts(createWorker(catalog));

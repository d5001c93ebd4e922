import { durableObjects } from '../src/composition/durable-objects.ts';
import { createWorker } from '../src/composition/worker.ts';
import { catalog } from '../test/support/catalog/index.ts';

/** Defined when the bench bundles this worker. */
declare const LIFE_S: number;
declare const REFRESH_AHEAD: number;

/** The fixture catalog with entries that live shorter, so that a bench need not wait for five minutes. */
const short = {
  ...catalog,
  views: catalog.views.map((view) => ({
    ...view,
    policy: {
      ...view.policy,
      ttlS: LIFE_S,
      staleWhileRevalidateS: LIFE_S * view.policy.jitter,
      refreshAhead: REFRESH_AHEAD,
    },
  })),
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
} = durableObjects(short);

export default createWorker(short);

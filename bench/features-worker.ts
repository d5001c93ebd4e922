import { durableObjects } from '../src/composition/durable-objects.ts';
import { createWorker } from '../src/composition/worker.ts';
import { feature } from '../src/define/feature.ts';
import { customer } from '../test/support/catalog/entities.ts';
import { purchase } from '../test/support/catalog/events.ts';
import { catalog } from '../test/support/catalog/index.ts';

const ofCustomer = {
  entity: customer,
  event: purchase,
  key: (line: { customerId: string | null }) => line.customerId,
};
const tiled = { ...ofCustomer, windows: ['1d', '7d', '30d', '90d', '365d'] as const };
const quantity = { ...tiled, value: (line: { quantity: number }) => line.quantity };
const price = { ...tiled, value: (line: { unitPrice: number }) => line.unitPrice };

/** Ten features over five windows: fifty values of a customer, in this order. */
const features = [
  feature.count({ ...tiled, name: 'f0' }),
  feature.sum({ ...quantity, name: 'f1', numbers: 'integer' }),
  feature.mean({ ...quantity, name: 'f2', numbers: 'integer' }),
  feature.min({ ...quantity, name: 'f3', numbers: 'integer' }),
  feature.max({ ...quantity, name: 'f4', numbers: 'integer' }),
  feature.sum({ ...price, name: 'f5' }),
  feature.mean({ ...price, name: 'f6' }),
  feature.min({ ...price, name: 'f7' }),
  feature.max({ ...price, name: 'f8' }),
  feature.variance({ ...price, name: 'f9' }),
];

/** The fixture catalog with the features of the bench. */
const measured = { ...catalog, features: [...catalog.features, ...features] };

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
} = durableObjects(measured);

export default createWorker(measured);

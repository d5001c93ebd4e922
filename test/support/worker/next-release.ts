/**
 * The release after that of `index.ts`: `spend_minor` counts in whole units under the same name, and
 * `largest_line` is new.
 */
import { durableObjects } from '../../../src/composition/durable-objects.ts';
import { createWorker } from '../../../src/composition/worker.ts';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { feature } from '../../../src/define/feature.ts';
import * as entities from '../catalog/entities.ts';
import * as events from '../catalog/events.ts';
import * as features from '../catalog/features.ts';
import * as models from '../catalog/models.ts';
import { retention } from '../catalog/retention.ts';
import * as views from '../catalog/views.ts';

const ofCustomer = {
  entity: entities.customer,
  event: events.purchase,
  key: (line: { customerId: string | null }) => line.customerId,
};
const { spend: _, orderShare: __, ...kept } = features;

const catalog = defineCatalog(
  {
    ...{ entities, events, views, models },
    features: {
      ...kept,
      spend: feature.sum({
        ...ofCustomer,
        name: 'spend_minor',
        value: (line) => Math.round(line.quantity * line.unitPrice),
        windowsDays: [90],
      }),
      largestLine: feature.max({
        ...ofCustomer,
        name: 'largest_line',
        windows: ['lifetime'],
        value: (line) => line.quantity,
      }),
    },
  },
  { retention },
);

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

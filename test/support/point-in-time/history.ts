import fc from 'fast-check';
import * as z from 'zod';
import { event } from '../../../src/define/event.ts';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import type { AsOfRequest, RecordedEvent } from '../../../src/features/point-in-time.ts';
import { customer, product } from '../catalog/entities.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 23, 12, 7, 31);

const Visit = z.object({ guests: z.array(z.string()), paid: z.number().nullable(), room: z.string() });
export type Visit = z.output<typeof Visit>;
export const visit = event({
  type: 'visit',
  version: 1,
  description: 'A visit.',
  data: Visit,
  stores: () => [],
});

const of = { entity: customer, event: visit, key: ({ guests }: Visit) => guests };
const paid = ({ paid }: Visit) => paid;
const windows = ['30m', '6h', '7d'] as const;
const ever = ['30m', '1y', 'lifetime'] as const;

/** One feature of each aggregate: some are over windows alone, so that their cells expire. */
export const FEATURES: readonly FeatureDefinition[] = [
  feature.count({ ...of, name: 'visits', windows }),
  feature.count({ ...of, name: 'visits_of_days', windowsDays: [1, 30] }),
  feature.sum({ ...of, name: 'cents', windows: ever, value: paid, numbers: { decimals: 2 } }),
  feature.mean({ ...of, name: 'mean', windows, value: paid }),
  feature.variance({ ...of, name: 'variance', windows, value: paid }),
  feature.min({ ...of, name: 'least', windows, value: paid }),
  feature.max({ ...of, name: 'most', windows: ever, value: paid }),
  feature.firstValue({ ...of, name: 'first_room', windows: ever, value: ({ room }) => room }),
  feature.lastValue({ ...of, name: 'last_room', windows, value: ({ room }) => room, ttl: '2d' }),
  feature.distinct({ ...of, name: 'rooms', windows: ever, value: ({ room }) => room }),
  feature.mostFrequent({ ...of, name: 'favourites', windows: ever, value: ({ room }) => room, limit: 3 }),
  feature.decayed({ ...of, name: 'recent', halfLife: '6h' }),
  feature.sinceLast({ ...of, name: 'since' }),
  feature.last({ ...of, name: 'last_at' }),
  feature.items({ ...of, name: 'items', item: ({ room }) => room, limit: 5 }),
  // The same name as a feature of the other entity, and keys that both have.
  feature.count({ ...of, entity: product, key: ({ room }: Visit) => room, name: 'visits', windows: ['1h'] }),
];

/** Keys of both entities are from the same few texts, so that they meet. */
const KEYS = ['1', '2', '3'];

/** Moments that are often equal, or at the edges of tiles. */
const moment = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map((steps) => NOW - steps * 7 * MINUTE_MS),
  fc.integer({ min: 0, max: 9 }).map((days) => Math.floor(NOW / DAY_MS) * DAY_MS - days * DAY_MS),
  fc
    .integer({ min: 0, max: 30 })
    .map((quarters) => Math.floor(NOW / HOUR_MS) * HOUR_MS - quarters * 15 * MINUTE_MS - 1),
  fc.integer({ min: NOW - 9 * DAY_MS, max: NOW }),
  fc.integer({ min: NOW - 500 * DAY_MS, max: NOW + HOUR_MS }),
);
/** From the event to its storing: at once, late, a backfill long after, or before the event. */
const delay = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 5_000 }),
  fc.integer({ min: 0, max: 3 * DAY_MS }),
  fc.integer({ min: -2 * HOUR_MS, max: 400 * DAY_MS }),
);

export const events: fc.Arbitrary<RecordedEvent[]> = fc
  .array(
    fc.record({
      occurredAt: moment,
      delay,
      data: fc.record({
        guests: fc.subarray(KEYS),
        paid: fc.option(fc.integer({ min: -5_000, max: 500_000 }).map((cents) => cents / 100)),
        room: fc.constantFrom(...KEYS),
      }),
    }),
    { maxLength: 60 },
  )
  .map((all) =>
    all.map(({ delay: late, ...one }, index) => ({
      ...{ seq: index + 1, type: 'visit.v1' },
      ...one,
      recordedAt: one.occurredAt + late,
    })),
  );

/** Requests whose moments are often those of events; with a fixed `known`, or without one. */
export function requestsFor(all: readonly RecordedEvent[]): fc.Arbitrary<AsOfRequest[]> {
  const times = all.flatMap(({ occurredAt, recordedAt }) => [occurredAt, recordedAt]);
  const near = times.length === 0 ? moment : fc.oneof(moment, fc.constantFrom(...times));
  return fc.array(
    fc.record({
      entity: fc.constantFrom('customer', 'customer', 'product'),
      key: fc.constantFrom(...KEYS),
      at: near,
      known: fc.option(near, { nil: undefined }),
      isBefore: fc.boolean(),
    }),
    { maxLength: 25 },
  );
}

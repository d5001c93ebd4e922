import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { invalidate, isValid, newClock } from '../../../src/cache/clock/clock.ts';
import { newMirror } from '../../../src/cache/clock/mirror.ts';
import { hashesToInvalidate } from '../../../src/cache/entry.ts';
import { event } from '../../../src/define/event.ts';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import { cellsOf, type FoldableEvent, mergeCells } from '../../../src/features/fold.ts';
import { readFeature } from '../../../src/features/read.ts';
import { asOf, RowCache, type RowPorts, readRows } from '../../../src/features/row-cache.ts';
import { endOfTiles, featureOfSlot } from '../../../src/features/slots.ts';
import { customer } from '../../support/catalog/entities.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 23, 12, 7, 31);
const Visit = z.object({ paid: z.number().nullable() });
const visit = event({ type: 'visit', version: 1, description: 'A visit.', data: Visit, stores: () => [] });
const of = { entity: customer, event: visit, key: () => 'k' };
const value = ({ paid }: z.output<typeof Visit>) => paid;
const windows = ['30m', '24h', '7d', '1y', 'lifetime'] as const;
const FEATURES: readonly FeatureDefinition[] = [
  feature.count({ ...of, name: 'visits', windows }),
  feature.count({ ...of, name: 'days', windowsDays: [1, 30] }),
  feature.sum({ ...of, name: 'paid', windows, value, ttl: '1d' }),
  feature.mean({ ...of, name: 'mean', windows, value }),
  feature.decayed({ ...of, name: 'recent', halfLife: '6h' }),
  feature.sinceLast({ ...of, name: 'since' }),
  feature.sinceLast({ ...of, name: 'since_lately', ttl: '1h' }),
  feature.last({ ...of, name: 'last' }),
];

function rowOf(features: readonly FeatureDefinition[], events: readonly FoldableEvent[], now: number) {
  const cells = mergeCells(events.flatMap((one) => cellsOf(features, one)));
  const rows = features.map((definition) =>
    readFeature(
      definition,
      cells.filter((cell) => featureOfSlot(cell.feature) === definition.name),
      now,
    ),
  );
  return Object.assign({}, ...rows);
}

describe('a row in memory', () => {
  it('has the values that its shard gives, at every moment until the end of its tiles', () => {
    const events = fc.array(
      fc.record({ ago: fc.integer({ min: -300_000, max: 400 * DAY_MS }), paid: fc.option(fc.integer()) }),
      { maxLength: 12 },
    );
    const subset = fc.subarray([...FEATURES], { minLength: 1 });
    fc.assert(
      fc.property(
        subset,
        events,
        fc.nat(DAY_MS),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (own, sent, at, share) => {
          const filledAt = NOW + at;
          const end = Math.min(endOfTiles(own, filledAt), filledAt + 2 * DAY_MS);
          const later = Math.floor(filledAt + share * (end - filledAt));
          fc.pre(later < end);
          const folded = sent.map(({ ago, paid }, seq) => ({
            ...{ seq, type: 'visit.v1', occurredAt: NOW - ago, data: { paid } },
          }));
          expect(asOf(rowOf(own, folded, filledAt), own, later)).toEqual(rowOf(own, folded, later));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('ends with the shortest tile or step, and never if all features are of all time', () => {
    const named = (...names: string[]) => FEATURES.filter(({ name }) => names.includes(name));
    expect(endOfTiles(named('visits'), NOW)).toBe(Date.UTC(2026, 10, 23, 12, 8));
    expect(endOfTiles(named('days'), NOW)).toBe(Date.UTC(2026, 10, 24));
    expect(endOfTiles(named('days', 'recent'), NOW) - NOW).toBeLessThanOrEqual((6 * 3_600_000) / 256);
    expect(endOfTiles(named('since', 'last'), NOW)).toBe(Number.POSITIVE_INFINITY);
  });
});

it('keeps as many rows as fit, and evicts the least recently used one', () => {
  const cache = new RowCache(250);
  const clock = newClock('e');
  const row = {
    ...{ epoch: 'e', stamp: 0, row: {}, tagHashes: [1] },
    filledAt: 0,
    endsAt: 1,
    asOf: undefined,
    bytes: 100,
  };
  for (const key of ['a', 'b']) cache.put(key, row);
  expect(isValid(clock, cache.get('a') ?? row, [1])).toBe(true);
  cache.put('c', row);
  expect(['a', 'b', 'c'].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true]);
  expect(cache.bytes).toBe(200);
  cache.put('a', { ...row, bytes: 300 });
  expect([cache.get('a'), cache.bytes]).toEqual([undefined, 100]);
});

it('takes the stamp of a row before its shard is read, so that a fold that is invalidated meanwhile voids it', async () => {
  const clock = newClock('e');
  let folded = 0;
  let reads = 0;
  const ports: RowPorts = {
    cache: new RowCache(1e6),
    follower: {
      begin: () => 1,
      ensure: async () => undefined,
      mirror: { ...newMirror(), clock },
    },
    context: {
      parent: { sync: () => Promise.reject(new Error('Nothing is synced.')) },
      keepAlive: () => undefined,
    },
    watch: () => ({
      shards: {
        read: async () => {
          reads += 1;
          const row = { visits_30d: { value: folded, status: 'PRESENT', eventAt: NOW } } as const;
          // The fold after this read reaches the mirror before the row is kept.
          if (folded === 0) invalidate(clock, hashesToInvalidate(['features:customer:k']));
          folded = 1;
          return [row];
        },
        readVersions: () => Promise.reject(new Error('Nobody names a version.')),
      },
      note: () => undefined,
      moment: async () => undefined,
    }),
    features: FEATURES,
    wasReplaced: async () => false,
  };
  const read = () =>
    readRows({ entity: 'customer', keys: ['k'], now: NOW }, { level: undefined, atLeast: undefined }, ports);
  expect((await read()).rows[0]).toMatchObject({ visits_30d: { value: 0 } });
  expect((await read()).rows[0]).toMatchObject({ visits_30d: { value: 1 } });
  await read();
  expect(reads).toBe(2);
});

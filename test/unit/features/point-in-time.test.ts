import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { event } from '../../../src/define/event.ts';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import { joinHistory, neededFrom } from '../../../src/features/join-history.ts';
import { featuresAsOf, PointInTimeJoin, type RecordedEvent } from '../../../src/features/point-in-time.ts';
import { customer } from '../../support/catalog/entities.ts';
import { historyInMemory } from '../../support/point-in-time/in-memory.ts';
import { joinHolds } from '../../support/point-in-time/property.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 23, 12);

const Order = z.object({ customerId: z.string(), total: z.number() });
const Outcome = z.object({ customerId: z.string(), churned: z.boolean() });
const order = event({ type: 'order', version: 1, description: 'An order.', data: Order, stores: () => [] });
const outcome = event({ type: 'outcome', version: 1, description: 'One.', data: Outcome, stores: () => [] });
const key = (data: { customerId: string }) => data.customerId;
const FEATURES: readonly FeatureDefinition[] = [
  feature.count({ name: 'orders', entity: customer, event: order, key, windows: ['24h', '30d', 'lifetime'] }),
  feature.lastValue({
    ...{ name: 'label', entity: customer, event: outcome, key },
    windows: ['lifetime'],
    value: ({ churned }) => churned,
  }),
];

let seq = 0;
function ordered(occurredAt: number, recordedAt = occurredAt, customerId = 'c1'): RecordedEvent {
  seq += 1;
  return { seq, type: 'order.v1', occurredAt, recordedAt, data: { customerId, total: 1 } };
}
const never: Iterator<boolean> = { next: () => ({ done: false, value: false }) };
const valueAsOf = (
  events: readonly RecordedEvent[],
  name: string,
  asked: { at: number; known?: number; isBefore?: boolean },
) => featuresAsOf(FEATURES, events, { entity: 'customer', key: 'c1', ...asked })[name]?.value;

describe('features as of a moment', () => {
  it('are those of the naive join, for any events in any order', async () => {
    expect(await joinHolds(7, 150, true)).toEqual({});
  });

  it('do not depend on the order of the events', () => {
    const events = [ordered(NOW - 2 * HOUR_MS), ordered(NOW - 3 * HOUR_MS, NOW - 1), ordered(NOW, NOW)];
    const rows = [events, events.toReversed()].map((of) =>
      featuresAsOf(FEATURES, of, { entity: 'customer', key: 'c1', at: NOW }),
    );
    expect(rows[0]).toEqual(rows[1]);
    expect(rows[0]?.['orders']?.value).toBe(3);
  });

  it('leave out an event of the future, in the same tile, too', () => {
    const planted = [
      ordered(NOW - HOUR_MS),
      ordered(NOW + 1, NOW - HOUR_MS),
      ordered(NOW + DAY_MS, NOW - HOUR_MS),
    ];
    for (const name of ['orders_24h', 'orders_30d', 'orders']) {
      expect(valueAsOf(planted, name, { at: NOW })).toBe(1);
      expect(valueAsOf(planted, name, { at: NOW, known: NOW + 9 * DAY_MS })).toBe(1);
    }
  });

  it('leave out a backfill that became known later', () => {
    const backfilled = [ordered(NOW - 2 * DAY_MS, NOW + HOUR_MS), ordered(NOW - DAY_MS)];
    expect(valueAsOf(backfilled, 'orders_30d', { at: NOW })).toBe(1);
    expect(valueAsOf(backfilled, 'orders_30d', { at: NOW, known: NOW + HOUR_MS - 1 })).toBe(1);
    expect(valueAsOf(backfilled, 'orders_30d', { at: NOW, known: NOW + HOUR_MS })).toBe(2);
    expect(valueAsOf(backfilled, 'orders_30d', { at: NOW + HOUR_MS })).toBe(2);
  });

  it('count an event of the moment itself, unless the request leaves it out', () => {
    const events = [ordered(NOW - HOUR_MS), ordered(NOW)];
    expect(valueAsOf(events, 'orders', { at: NOW })).toBe(2);
    expect(valueAsOf(events, 'orders', { at: NOW, isBefore: true })).toBe(1);
    expect(valueAsOf(events, 'orders', { at: NOW, known: NOW, isBefore: true })).toBe(1);
  });

  it('never equal the label of a row whose outcome comes later, or at the moment that is left out', () => {
    const rows = Array.from({ length: 40 }, (_, index) => ({
      key: `c${index}`,
      at: NOW + index,
      label: index % 3 === 0,
    }));
    const outcomes = (delayMs: number) =>
      rows.map(({ key: customerId, at, label }, index): RecordedEvent => {
        const occurredAt = at + delayMs;
        return {
          seq: index,
          type: 'outcome.v1',
          occurredAt,
          recordedAt: occurredAt,
          data: { customerId, churned: label },
        };
      });
    const labels = (events: readonly RecordedEvent[], isBefore: boolean) =>
      rows.map((row) => featuresAsOf(FEATURES, events, { entity: 'customer', ...row, isBefore })['label']);
    const missing = rows.map(() => ({ value: null, status: 'NOT_FOUND', eventAt: null }));
    expect(labels(outcomes(1), false)).toEqual(missing);
    expect(labels(outcomes(0), true)).toEqual(missing);
    // Counted, the outcome is the label.
    expect(labels(outcomes(0), false).map((read) => read?.value)).toEqual(rows.map(({ label }) => label));
  });
});

describe('a join', () => {
  it('answers requests in their order, of any number of one key, and of keys without events', async () => {
    const events = Array.from({ length: 100 }, (_, hour) =>
      ordered(NOW + hour * HOUR_MS, NOW + hour * HOUR_MS, `c${hour % 2}`),
    );
    const requests = [60, 3, 99, 3, -1].flatMap((hour) =>
      ['c0', 'c1', 'none'].map((of) => ({ entity: 'customer', key: of, at: NOW + hour * HOUR_MS })),
    );
    const rows = await joinHistory(FEATURES, requests, historyInMemory(events, never));
    expect(rows.map((row) => row['orders']?.value)).toEqual([
      31, 30, 0, 2, 2, 0, 50, 50, 0, 2, 2, 0, 0, 0, 0,
    ]);
  });

  it('holds the cells of the requested keys that a request still needs', () => {
    const minutes = feature.count({
      name: 'by_minute',
      entity: customer,
      event: order,
      key,
      windows: ['30m'],
    });
    const requests = [1, 100].map((days) => ({ entity: 'customer', key: 'c1', at: NOW + days * DAY_MS }));
    const join = new PointInTimeJoin([minutes], requests);
    let most = 0;
    for (let at = NOW; at <= NOW + 100 * DAY_MS; at += 10 * 60_000) {
      join.add(ordered(at));
      join.add(ordered(at, at, 'c2'));
      most = Math.max(most, join.cells);
    }
    expect(join.isDone).toBe(false);
    expect(most).toBe(3);
    expect(join.finish().map((row) => row['by_minute_30m']?.value)).toEqual([3, 3]);
    expect([join.cells, join.isDone]).toEqual([0, true]);
  });

  it('reads no event from before the windows, and refuses a history that retention has cut within them', async () => {
    const [days] = FEATURES;
    if (days === undefined) throw new Error('There is one.');
    const recent = feature.count({
      name: 'recent',
      entity: customer,
      event: order,
      key,
      windows: ['24h', '30d'],
    });
    const requests = [NOW, NOW + DAY_MS].map((at) => ({ entity: 'customer', key: 'c1', at }));
    expect(neededFrom([recent], requests)).toBe(NOW - 30 * DAY_MS);
    expect(neededFrom([recent, days], requests)).toBeUndefined();
    const cut = (until: number) => ({
      ...historyInMemory([], never),
      pruned: async () => [{ target: 'events:order.v1', rows: 3, until: new Date(until).toISOString() }],
    });
    const join = (features: typeof FEATURES, until: number) => joinHistory(features, requests, cut(until));
    expect(await join([recent], NOW - 31 * DAY_MS)).toHaveLength(2);
    await expect(join([recent], NOW - 29 * DAY_MS)).rejects.toMatchObject({ code: 'history_pruned' });
    await expect(join([days], NOW - 900 * DAY_MS)).rejects.toMatchObject({ code: 'history_pruned' });
  });

  it('refuses events out of order, and requests of the other order', () => {
    const join = new PointInTimeJoin(FEATURES, [{ entity: 'customer', key: 'c1', at: NOW }]);
    join.add(ordered(NOW - 1));
    expect(() => join.add(ordered(NOW - 2))).toThrow('out of order');
    expect(
      () => new PointInTimeJoin(FEATURES, [{ entity: 'customer', key: 'c1', at: NOW, known: NOW }]),
    ).toThrow(RangeError);
  });
});

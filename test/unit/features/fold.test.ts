import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cellsOf, type FoldableEvent, mergeCells } from '../../../src/features/fold.ts';
import { readFeature } from '../../../src/features/read.ts';
import { routeEvents, shardOf } from '../../../src/features/shards.ts';
import { catalog } from '../../support/catalog/index.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 23, 12);

const purchase = fc.record({
  sku: fc.constantFrom('85123A', '22423', '71053', 'POST'),
  customerId: fc.constantFrom('17850', '13085', null),
  quantity: fc.integer({ min: 1, max: 500 }),
  unitPrice: fc.integer({ min: 1, max: 50_000 }).map((pence) => pence / 100),
  occurredAt: fc.integer({ min: NOW - 500 * DAY_MS, max: NOW }),
});
const history = fc.array(purchase, { maxLength: 60 }).map((lines) =>
  lines.map(
    ({ occurredAt, ...line }, index): FoldableEvent => ({
      seq: index + 1,
      type: 'shop.purchase.v1',
      occurredAt,
      data: { invoice: 'A', country: 'UK', ...line },
    }),
  ),
);

const customerFeatures = catalog.features.filter(({ entity }) => entity.name === 'customer');

function read(events: readonly FoldableEvent[], customer: string, now: number) {
  const cells = mergeCells(events.flatMap((event) => cellsOf(customerFeatures, event))).filter(
    ({ key }) => key === customer,
  );
  const byFeature = Map.groupBy(cells, ({ feature }) => feature);
  return Object.assign(
    {},
    ...customerFeatures.map((definition) =>
      readFeature(definition, byFeature.get(definition.name) ?? [], now),
    ),
  );
}

describe('features', () => {
  it('do not depend on the order of arrival or on the batches', () => {
    fc.assert(
      fc.property(history, fc.nat(), (events, seed) => {
        const shuffled = [...events].sort(
          (a, b) => ((a.seq * 7919 + seed) % 101) - ((b.seq * 7919 + seed) % 101),
        );
        const halves = [shuffled.slice(0, shuffled.length / 2), shuffled.slice(shuffled.length / 2)];
        const inParts = mergeCells(
          halves.flatMap((half) => mergeCells(half.flatMap((e) => cellsOf(customerFeatures, e)))),
        );
        const atOnce = mergeCells(events.flatMap((e) => cellsOf(customerFeatures, e)));
        const sorted = (cells: typeof atOnce) => cells.map((cell) => JSON.stringify(cell)).sort();
        expect(sorted(inParts)).toEqual(sorted(atOnce));
      }),
    );
  });

  it('count today and the days before it in a window, and nothing older', () => {
    const at = (daysAgo: number, seq: number): FoldableEvent => ({
      seq,
      type: 'shop.purchase.v1',
      occurredAt: NOW - daysAgo * DAY_MS,
      data: { invoice: 'A', sku: '1', quantity: 1, unitPrice: 1.15, customerId: '17850', country: 'UK' },
    });
    const values = read([at(0, 1), at(29, 2), at(30, 3), at(364, 4), at(365, 5)], '17850', NOW);
    expect(values['purchases_30d'].value).toBe(2);
    expect(values['purchases_365d'].value).toBe(4);
    expect(values['spend_minor_90d'].value).toBe(345);
    expect(values['product_views_7d']).toEqual({ value: 0, status: 'NOT_FOUND', eventAt: null });
  });

  it('ignore events without the entity, of another type, or that break the contract', () => {
    const event = { seq: 1, type: 'shop.purchase.v1', occurredAt: NOW, data: { sku: '1' } };
    expect(cellsOf(customerFeatures, event)).toEqual([]);
    expect(cellsOf(customerFeatures, { ...event, type: 'shop.return.v1' })).toEqual([]);
  });

  it('are routed to each shard once, with every event that counts there', () => {
    fc.assert(
      fc.property(history, (events) => {
        const routes = routeEvents(catalog.features, events);
        for (const [shard, route] of routes) {
          expect(new Set(route.events).size).toBe(route.events.length);
          expect(shard.startsWith(`${route.entity}/`)).toBe(true);
        }
        for (const event of events) {
          const sku = String(Reflect.get(Object(event.data), 'sku'));
          expect(routes.get(shardOf('product', sku))?.events).toContain(event);
        }
      }),
    );
  });
});

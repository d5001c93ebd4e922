import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cellsOf, mergeCells } from '../../../../../src/features/fold.ts';
import { readFeature } from '../../../../../src/features/read.ts';
import { customerItems, customerLastPurchase, customerPurchases } from '../../../catalog/features.ts';
import { catalog } from '../../../catalog/index.ts';
import { DAY_MS } from '../../../catalog/ranker.ts';
import { groupPurchases, snapshotAsOf } from '../../../training/purchases.ts';

const NOW = Date.UTC(2025, 5, 1, 15, 30);
const FEATURES = [customerPurchases, customerLastPurchase, customerItems];

/** Lines of one customer in the 400 days before now, some at the edges of days. */
const purchases = fc.array(
  fc.record({
    sku: fc.integer({ min: 0, max: 90 }).map((number) => `SKU-${number}`),
    customer: fc.constant('C1'),
    quantity: fc.integer({ min: 1, max: 5 }),
    at: fc.oneof(
      fc.integer({ min: NOW - 400 * DAY_MS, max: NOW - 1 }),
      fc.integer({ min: 1, max: 400 }).map((days) => Math.floor(NOW / DAY_MS) * DAY_MS - days * DAY_MS),
    ),
  }),
  { maxLength: 150 },
);

test('the snapshot of training equals the answers of the feature store', () => {
  fc.assert(
    fc.property(purchases, (lines) => {
      const cells = mergeCells(
        lines.flatMap(({ sku, customer, quantity, at }, seq) =>
          cellsOf(FEATURES, {
            seq,
            type: customerItems.eventType,
            occurredAt: at,
            data: {
              invoice: '1',
              sku,
              description: null,
              quantity,
              unitPrice: 1,
              customerId: customer,
              country: 'UK',
            },
          }),
        ),
      );
      const stored = FEATURES.flatMap((definition) => {
        const own = cells.filter((cell) => cell.feature === definition.name);
        return Object.entries(readFeature(definition, own, NOW)).map(([name, { value }]) => [name, value]);
      });
      const history = groupPurchases(lines);
      expect(snapshotAsOf(history.customers.get('C1') ?? [], NOW)).toEqual(Object.fromEntries(stored));
    }),
  );
});

/** Lines of two known customers and of unknown ones, some of them of charges that are no products. */
const anyHistory = fc
  .array(
    fc.record({
      sku: fc.constantFrom('85123A', '22423', '71053', 'POST'),
      customerId: fc.constantFrom('17850', '13085', null),
      quantity: fc.integer({ min: 1, max: 500 }),
      unitPrice: fc.integer({ min: 1, max: 50_000 }).map((pence) => pence / 100),
      occurredAt: fc.integer({ min: NOW - 500 * DAY_MS, max: NOW }),
    }),
    { maxLength: 60 },
  )
  .map((lines) =>
    lines.map(({ occurredAt, ...line }, index) => ({
      seq: index + 1,
      type: 'shop.purchase.v1',
      occurredAt,
      data: { invoice: 'A', country: 'UK', ...line },
    })),
  );

const customerFeatures = catalog.features.filter(({ entity }) => entity.name === 'customer');

test('the features of a customer equal the values that training computes from history, to the last bit', () => {
  fc.assert(
    fc.property(anyHistory, (events) => {
      const lines = events
        .filter(({ data }) => data.customerId === '17850')
        .map(({ data, occurredAt }) => ({ sku: data.sku, at: occurredAt, quantity: 1 }))
        .sort((a, b) => a.at - b.at);
      const cells = mergeCells(events.flatMap((event) => cellsOf(customerFeatures, event))).filter(
        ({ key }) => key === '17850',
      );
      const online = Object.fromEntries(
        customerFeatures.flatMap((definition) => {
          const own = cells.filter(({ feature }) => feature === definition.name);
          return Object.entries(readFeature(definition, own, NOW + 1));
        }),
      );
      const snapshot = snapshotAsOf(lines, NOW + 1);
      expect(online['purchases_30d']?.value).toBe(snapshot.purchases_30d);
      expect(online['purchases_365d']?.value).toBe(snapshot.purchases_365d);
      expect(online['last_purchase_at']?.value).toBe(snapshot.last_purchase_at);
      expect(online['items']?.value).toEqual(snapshot.items);
    }),
  );
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cellsOf, mergeCells } from '../../../../../src/features/fold.ts';
import { readFeature } from '../../../../../src/features/read.ts';
import { customerItems, customerLastPurchase, customerPurchases } from '../../../catalog/features.ts';
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

test('the snapshot of training equals what the feature store answers', () => {
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

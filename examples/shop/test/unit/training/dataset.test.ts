import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runsOf } from '../../../../../test/support/node/part.ts';
import { buildCandidateTable } from '../../../catalog/candidate-table.ts';
import { DAY_MS, RANKER_WIDTH } from '../../../catalog/ranker.ts';
import {
  buildDataset,
  type Dataset,
  LABEL_DAYS,
  MIN_HISTORY_DAYS,
  planCutoffs,
} from '../../../training/dataset.ts';
import { groupPurchases, itemsBefore, type Purchase, snapshotAsOf } from '../../../training/purchases.ts';
import { SHOP_START, syntheticPurchases } from './shop.ts';

const CUTOFF = SHOP_START + 100 * DAY_MS;
const shop = syntheticPurchases(40, 140, 3);

/** Purchases at or after the cutoff, by known and by unknown customers, of known and of unknown products. */
const later: fc.Arbitrary<Purchase[]> = fc.array(
  fc.record({
    sku: fc.constantFrom('G0-00', 'G1-03', 'G5-19', 'new'),
    customer: fc.constantFrom('C0', 'C7', 'C39', 'stranger'),
    quantity: fc.integer({ min: 1, max: 9 }),
    at: fc.integer({ min: CUTOFF, max: CUTOFF + 200 * DAY_MS }),
  }),
  { maxLength: 60 },
);

function rowsByOrigin(dataset: Dataset): Map<string, number[]> {
  return new Map(
    dataset.origins.map(({ customer, sku }, row) => [
      `${customer}/${sku}`,
      [...dataset.features.subarray(row * RANKER_WIDTH, (row + 1) * RANKER_WIDTH)],
    ]),
  );
}

describe('nothing after the cutoff reaches a row', () => {
  const past = shop.filter((purchase) => purchase.at < CUTOFF);
  const reference = groupPurchases(past);

  test('snapshots and the candidate table stay the same', () => {
    fc.assert(
      fc.property(later, (future) => {
        const history = groupPurchases([...past, ...future]);
        const tableOf = (of: typeof history) => buildCandidateTable(itemsBefore(of, CUTOFF), CUTOFF);
        expect(tableOf(history)).toEqual(tableOf(reference));
        for (const [customer, lines] of reference.customers) {
          const now = snapshotAsOf(history.customers.get(customer) ?? [], CUTOFF);
          expect(now).toEqual(snapshotAsOf(lines, CUTOFF));
        }
      }),
      { numRuns: runsOf(40) },
    );
  });

  test('a row that exists with and without further purchases has the same features', () => {
    const before = rowsByOrigin(buildDataset(groupPurchases(shop), [CUTOFF], 1));
    let compared = 0;
    fc.assert(
      fc.property(later, (future) => {
        const after = rowsByOrigin(buildDataset(groupPurchases([...shop, ...future]), [CUTOFF], 1));
        for (const [origin, row] of before) {
          compared += 1;
          expect(after.get(origin)).toEqual(row);
        }
      }),
      { numRuns: runsOf(40) },
    );
    expect(compared).toBeGreaterThan(1_000);
  });
});

describe('snapshotAsOf', () => {
  test('counts whole UTC days up to now and lists the newest items first', () => {
    const lines = [
      { sku: 'A', at: CUTOFF - 400 * DAY_MS },
      { sku: 'A', at: CUTOFF - 30 * DAY_MS },
      { sku: 'D', at: CUTOFF - 29 * DAY_MS },
      { sku: 'B', at: CUTOFF - 1 },
      { sku: 'C', at: CUTOFF },
    ];
    expect(snapshotAsOf(lines, CUTOFF)).toEqual({
      purchases_30d: 2,
      purchases_365d: 3,
      last_purchase_at: CUTOFF - 1,
      items: [
        { item: 'B', count: 1, lastAt: CUTOFF - 1 },
        { item: 'D', count: 1, lastAt: CUTOFF - 29 * DAY_MS },
        { item: 'A', count: 2, lastAt: CUTOFF - 30 * DAY_MS },
      ],
    });
  });

  test('a customer without purchases is empty', () => {
    const empty = { purchases_30d: 0, purchases_365d: 0, last_purchase_at: null, items: [] };
    expect(snapshotAsOf([], CUTOFF)).toEqual(empty);
  });
});

describe('buildDataset', () => {
  test('labels products bought in the label window, and weighs the sampled others', () => {
    const dataset = buildDataset(groupPurchases(shop), [CUTOFF], 1);
    expect(dataset.rows).toBe(dataset.origins.length);
    for (const [row, { customer, sku }] of dataset.origins.entries()) {
      const bought = shop.some(
        (purchase) =>
          purchase.customer === customer &&
          purchase.sku === sku &&
          purchase.at >= CUTOFF &&
          purchase.at < CUTOFF + LABEL_DAYS * DAY_MS,
      );
      expect(dataset.labels[row]).toBe(bought ? 1 : 0);
      expect(dataset.weights[row]).toBeGreaterThanOrEqual(1);
    }
  });
});

describe('planCutoffs', () => {
  test('no label window reaches into the held-out weeks', () => {
    const plan = planCutoffs(SHOP_START, SHOP_START + 400 * DAY_MS);
    const lastTraining = plan?.training.at(-1) ?? Number.POSITIVE_INFINITY;
    expect(lastTraining + LABEL_DAYS * DAY_MS).toBeLessThanOrEqual(plan?.heldOut ?? 0);
    expect(plan?.end).toBe(SHOP_START + 400 * DAY_MS + 1);
  });

  test('a history that is too short has no plan', () => {
    expect(planCutoffs(SHOP_START, SHOP_START + (MIN_HISTORY_DAYS - 1) * DAY_MS)).toBeNull();
    expect(planCutoffs(SHOP_START, SHOP_START + MIN_HISTORY_DAYS * DAY_MS)?.training).toHaveLength(1);
  });
});

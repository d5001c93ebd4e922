import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  articleOf,
  type CandidateTable,
  type CustomerSnapshot,
  candidatesFor,
  DAY_MS,
  isProduct,
  MAX_CUSTOMER_ITEMS,
  parseCandidateTable,
  RANKER_COLUMNS,
  RANKER_WIDTH,
  rankerRow,
  rankerRows,
  topByScore,
} from '../../../catalog/ranker.ts';

const NOW = Date.UTC(2025, 5, 1);

function product(sku: string, popularity: number) {
  const rest = {
    buyers_91d: popularity,
    buyers_365d: popularity,
    repeat_rate: 0.5,
    gap_days: 10,
    age_days: 90,
  };
  return { sku, popularity, ...rest };
}

const table: CandidateTable = {
  asOf: NOW,
  activeBuyers: { d28: 100, d91: 100, d365: 100 },
  popular: [product('A1', 30), product('B1', 20), product('C1', 10), product('D1', 1)],
  neighbours: { A1: [['D1', 0.5]], B1: [['C1', 0.25]] },
};

const nobody: CustomerSnapshot = { purchases_30d: 0, purchases_365d: 0, last_purchase_at: null, items: [] };

function buyerOf(...items: string[]): CustomerSnapshot {
  const lastAt = NOW - 5 * DAY_MS;
  return {
    purchases_30d: items.length,
    purchases_365d: items.length,
    last_purchase_at: lastAt,
    items: items.map((item) => ({ item, count: 1, lastAt })),
  };
}

function named(row: readonly number[]): Record<string, number> {
  return Object.fromEntries(RANKER_COLUMNS.map((column, position) => [column, row[position] ?? Number.NaN]));
}

test('variants of an article have its digits, and a charge has no article', () => {
  expect(
    ['85123A', '85123b', 'demo-85123', '85123', 'POST', 'gift_0001_20', '851234'].map(articleOf),
  ).toEqual([...['85123', '85123', '85123', '85123'], ...[undefined, undefined, undefined]]);
});

describe('candidatesFor', () => {
  test('offers popular products to a new customer, most popular first', () => {
    expect(candidatesFor(nobody, table, 3)).toEqual(['A1', 'B1', 'C1']);
  });

  test('offers own products first, also when the table does not know them', () => {
    expect(candidatesFor(buyerOf('old', 'B1'), table, 3)).toEqual(['old', 'B1', 'A1']);
  });

  test('offers no charges, although customers pay them', () => {
    expect(isProduct('85048')).toBe(true);
    expect(['POST', 'M', 'm', 'BANK CHARGES', 'gift_0001_20'].filter(isProduct)).toEqual([]);
    expect(candidatesFor(buyerOf('POST', 'B1'), table, 2)).toEqual(['B1', 'A1']);
  });

  test('never exceeds the limit and never repeats a product', () => {
    const skus = fc.constantFrom('A1', 'B1', 'C1', 'D1', 'x', 'constructor', '__proto__');
    fc.assert(
      fc.property(fc.uniqueArray(skus), fc.integer({ min: 0, max: 8 }), (items, limit) => {
        const found = candidatesFor(buyerOf(...items), table, limit);
        expect(found.length).toBeLessThanOrEqual(limit);
        expect(new Set(found).size).toBe(found.length);
      }),
    );
  });
});

describe('rankerRow', () => {
  test('distinguishes an own product from one that its buyers also buy', () => {
    const own = named(rankerRow(buyerOf('A1'), 'A1', table, NOW));
    expect(own).toMatchObject({ own_bought: 1, own_due: 0.5, own_in_last_visit: 1, affinity_max: 0 });
    const neighbour = named(rankerRow(buyerOf('A1'), 'D1', table, NOW));
    expect(neighbour).toMatchObject({ own_bought: 0, affinity_max: 0.5, product_rank_log: Math.log1p(3) });
  });

  test('is finite for any snapshot and equals the row of the batch', () => {
    const snapshot = fc.record({
      purchases_30d: fc.nat(),
      purchases_365d: fc.nat(),
      last_purchase_at: fc.option(fc.nat({ max: 4e12 })),
      items: fc.array(
        fc.record({
          item: fc.constantFrom('A1', 'B1', 'x'),
          count: fc.integer({ min: 1 }),
          lastAt: fc.nat({ max: 4e12 }),
        }),
        { maxLength: MAX_CUSTOMER_ITEMS + 10 },
      ),
    });
    const skus = ['A1', 'D1', 'unknown', 'toString'];
    fc.assert(
      fc.property(snapshot, fc.nat({ max: 4e12 }), (customer, now) => {
        const batch = rankerRows(customer, skus, table, now);
        for (const [position, sku] of skus.entries()) {
          const row = rankerRow(customer, sku, table, now);
          expect(row).toHaveLength(RANKER_WIDTH);
          expect(row.every(Number.isFinite)).toBe(true);
          const inBatch = batch.subarray(position * RANKER_WIDTH, (position + 1) * RANKER_WIDTH);
          expect(inBatch).toEqual(Float32Array.from(row));
        }
      }),
    );
  });
});

describe('topByScore', () => {
  test('orders by score and breaks ties by SKU', () => {
    expect(topByScore(['c', 'b', 'a'], [0.5, 0.9, 0.5], 2)).toEqual(['b', 'a']);
  });
});

describe('parseCandidateTable', () => {
  test('accepts a table that went through JSON', () => {
    expect(parseCandidateTable(JSON.parse(JSON.stringify(table)))).toEqual(table);
  });

  test.each([
    ['a missing field', { ...table, popular: undefined }],
    ['a similarity above 1', { ...table, neighbours: { A1: [['B1', 1.5]] } }],
    ['too many neighbours', { ...table, neighbours: { A: Array.from({ length: 21 }, () => ['B1', 0.1]) } }],
    ['too many products', { ...table, popular: Array.from({ length: 1_001 }, () => product('A1', 1)) }],
    ['another shape', []],
  ])('refuses %s', (_, value) => {
    expect(() => parseCandidateTable(value)).toThrow();
  });
});

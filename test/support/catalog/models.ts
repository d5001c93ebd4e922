import * as z from 'zod';
import { model } from '../../../src/define/model.ts';
import { customer, product } from './entities.ts';
import { items as itemsBought, purchases } from './features.ts';

/** The artifact beside the graph: how many customers bought each product, most bought first. */
export const CandidateTable = z.strictObject({
  popular: z.array(z.strictObject({ sku: z.string().min(1), buyers: z.int().positive() })).min(1),
});
export type CandidateTable = z.output<typeof CandidateTable>;

export const RANKER_COLUMNS = ['customer_purchases', 'bought_by_customer', 'buyers'] as const;

/** A ranking model with three columns. `test/support/models/ranker.ts` makes its bundle. */
export const ranker = model.ranking({
  name: 'ranker',
  description: 'Which products a customer will buy next.',
  entity: customer,
  path: '/v1/customers/{id}/recommendations',
  itemEntity: product,
  columns: RANKER_COLUMNS,
  features: { purchases: purchases.window(30), items: itemsBought.newest() },
  parseCandidates: (json) => {
    const { popular } = CandidateTable.parse(json);
    const buyers = new Map(popular.map((row) => [row.sku, row.buyers]));
    return {
      has: (item) => buyers.has(item),
      popular: (limit) => popular.slice(0, limit).map((row) => ({ item: row.sku, score: row.buyers })),
      assemble: ({ purchases: lines, items }, wanted) => {
        if (wanted === undefined && items.length === 0) return null;
        const bought = new Map(items.map(({ item, count }) => [item, count]));
        const candidates = wanted ?? [...new Set([...bought.keys(), ...buyers.keys()])];
        const rows = candidates.flatMap((item) => [lines, bought.get(item) ?? 0, buyers.get(item) ?? 0]);
        return { items: candidates, rows: Float32Array.from(rows) };
      },
    };
  },
});

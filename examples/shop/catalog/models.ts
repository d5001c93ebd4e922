import * as z from 'zod';
import { model } from '../../../src/define/model.ts';
import { customer, product } from './entities.ts';
import { candidatesFor, parseCandidateTable, RANKER_COLUMNS, rankerRows } from './ranker.ts';

/** The features that the ranker reads, as the feature store returns them. */
const Snapshot = z.object({
  purchases_30d: z.number(),
  purchases_365d: z.number(),
  last_purchase_at: z.number().nullable(),
  items: z.array(z.object({ item: z.string(), count: z.number(), lastAt: z.number() })),
});

export const ranker = model({
  name: 'ranker',
  description: 'Which products a customer will buy next.',
  entity: customer,
  path: '/v1/customers/{id}/recommendations',
  itemEntity: product,
  columns: RANKER_COLUMNS,
  parseCandidates: (json) => {
    const table = parseCandidateTable(json);
    const known = new Set(table.popular.map(({ sku }) => sku));
    const buyers = Math.max(1, table.activeBuyers.d28);
    return {
      has: (item) => known.has(item),
      popular: (limit) =>
        table.popular
          .slice(0, limit)
          .map(({ sku, popularity }) => ({ item: sku, score: popularity / buyers })),
      assemble: (features, items, now) => {
        const snapshot = Snapshot.parse(features);
        if (items === undefined && snapshot.items.length === 0) return null;
        const skus = items ?? candidatesFor(snapshot, table);
        return { items: skus, rows: rankerRows(snapshot, skus, table, now) };
      },
    };
  },
});

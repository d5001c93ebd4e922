import { model } from '../../../src/define/model.ts';
import { customer, product } from './entities.ts';
import { customerItems, customerLastPurchase, customerPurchases } from './features.ts';
import { candidatesFor, parseCandidateTable, RANKER_COLUMNS, rankerRows } from './ranker.ts';

export const ranker = model.ranking({
  name: 'ranker',
  description: 'Which products a customer will buy next.',
  entity: customer,
  path: '/v1/customers/{id}/recommendations',
  itemEntity: product,
  // Scores move with the days since a purchase: an hour is well within what a ranking notices.
  ttlS: 3_600,
  columns: RANKER_COLUMNS,
  features: {
    purchases_30d: customerPurchases.window(30),
    purchases_365d: customerPurchases.window(365),
    last_purchase_at: customerLastPurchase.at(),
    items: customerItems.newest(),
  },
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
        if (items === undefined && features.items.length === 0) return null;
        const skus = items ?? candidatesFor(features, table);
        return { items: skus, rows: rankerRows(features, skus, table, now) };
      },
    };
  },
});

import { dataset } from '../../../src/define/dataset.ts';
import { feedback } from '../../../src/define/feedback.ts';
import { model } from '../../../src/define/model.ts';
import { buildCandidateTable, TABLE_LIMITS } from './candidate-table.ts';
import { customer, product } from './entities.ts';
import { purchase } from './events.ts';
import {
  customerItems,
  customerLastPurchase,
  customerPurchases,
  productLastSold,
  productUnits,
} from './features.ts';
import {
  AFFINITY_COLUMNS,
  AGE_LIMIT_DAYS,
  articleOf,
  candidatesFor,
  isProduct,
  MAX_TABLE_PRODUCTS,
  OWN_COLUMNS,
  PRODUCT_COLUMNS,
  parseCandidateTable,
  RANKER_COLUMNS,
  rankerRows,
} from './ranker.ts';

export const ranker = model.ranking({
  name: 'ranker',
  description: 'Which products a customer will buy next.',
  entity: customer,
  path: '/v1/customers/{id}/recommendations',
  itemEntity: product,
  // Scores move with the days since a purchase: an hour is well within what a ranking notices.
  ttlS: 3_600,
  columns: RANKER_COLUMNS,
  training: { kind: 'network', hidden: [16], epochs: 6 },
  // The history of a shop is imported or seeded, so it was stored long after it happened.
  retraining: { onDrift: true, knowledge: 'snapshot' },
  features: {
    purchases_30d: customerPurchases.window(30),
    purchases_365d: customerPurchases.window(365),
    last_purchase_at: customerLastPurchase.at(),
    items: customerItems.newest(),
  },
  // What a customer buys in the four weeks after a moment, beside a sample of what they do not buy. Charges are no items.
  dataset: dataset.ofItems({
    ...{ entity: customer, event: purchase, horizonDays: 28, warmUpDays: 56, negatives: 30 },
    split: { validationDays: 28, testDays: 28 },
    key: ({ customerId }) => customerId,
    item: ({ sku }) => (isProduct(sku) ? sku : null),
    itemFeatures: {
      units_7d: productUnits.window(7),
      units_30d: productUnits.window(30),
      days_since_sold: productLastSold.ageDays(),
    },
  }),
  // What a customer buys of the answer within four weeks. A tenth of the answers is enough to see 1 % more or less.
  feedback: feedback.ofItems({
    ...{ entity: customer, event: purchase, within: '28d', share: 0.1 },
    key: ({ customerId }) => customerId,
    item: ({ sku }) => sku,
  }),
  rollout: { withinSeconds: 5_184_000 },
  // What a customer has just ordered comes next month, not next. The card measures the ranking of all candidates.
  exclude: { items: customerItems.newest(), withinDays: 1 },
  // 85123A and 85123B are one article in two colours.
  diversity: { max: 2 },
  reasons: {
    groups: {
      bought_before: { columns: OWN_COLUMNS, text: 'You have bought it before' },
      bought_together: { columns: AFFINITY_COLUMNS, text: 'Bought by customers who buy what you buy' },
      popular: { columns: PRODUCT_COLUMNS, text: 'Many customers buy it' },
    },
    // A product that nobody buys is the last of all, and as old as can be.
    baseline: {
      product_rank_log: Math.log1p(MAX_TABLE_PRODUCTS),
      product_age_log: Math.log1p(AGE_LIMIT_DAYS),
    },
  },
  makeCandidates: (history, asOf) => buildCandidateTable(history, asOf, TABLE_LIMITS),
  parseCandidates: (json) => {
    const table = parseCandidateTable(json);
    const known = new Set(table.popular.map(({ sku }) => sku));
    const buyers = Math.max(1, table.activeBuyers.d28);
    return {
      has: (item) => known.has(item),
      groupOf: articleOf,
      popular: (limit) =>
        table.popular
          .slice(0, limit)
          .map(({ sku, popularity }) => ({ item: sku, score: popularity / buyers })),
      isNew: ({ items }) => items.length === 0,
      assemble: (features, items, now) => {
        const skus = items ?? candidatesFor(features, table);
        return { items: skus, rows: rankerRows(features, skus, table, now) };
      },
    };
  },
});

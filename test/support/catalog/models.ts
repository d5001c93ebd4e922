import * as z from 'zod';
import { dataset } from '../../../src/define/dataset.ts';
import { feedback } from '../../../src/define/feedback.ts';
import { model } from '../../../src/define/model.ts';
import { fromFeature, fromRequest } from '../../../src/define/model-input.ts';
import { customer, product } from './entities.ts';
import { purchase } from './events.ts';
import { items as itemsBought, lastPurchase, purchases, units } from './features.ts';

/** The artifact beside the graph: how many customers bought each product, most bought first. */
export const CandidateTable = z.strictObject({
  popular: z.array(z.strictObject({ sku: z.string().min(1), buyers: z.int().positive() })).min(1),
});
export type CandidateTable = z.output<typeof CandidateTable>;

export const RANKER_COLUMNS = ['customer_purchases', 'bought_by_customer', 'buyers'] as const;

/** Both parts are as long as a label takes, so that a history of some weeks has rows. */
const split = { validationDays: 7, testDays: 7 };
const ofBuyer = {
  ...{ entity: customer, event: purchase, split, warmUpDays: 7, horizonDays: 7 },
  key: (line: { customerId: string | null }) => line.customerId,
};

/** A ranking model with three columns. `test/support/models/ranker.ts` makes its bundle. */
export const ranker = model.ranking({
  name: 'ranker',
  description: 'Which products a customer will buy next.',
  entity: customer,
  path: '/v1/customers/{id}/recommendations',
  itemEntity: product,
  columns: RANKER_COLUMNS,
  features: { purchases: purchases.window(30), items: itemsBought.newest() },
  dataset: dataset.ofItems({
    ...{ ...ofBuyer, negatives: 4 },
    item: ({ sku }) => sku,
    itemFeatures: { units_7d: units.window(7) },
  }),
  feedback: feedback.ofItems({
    ...{ entity: customer, event: purchase, within: '1d' },
    key: ({ customerId }) => customerId,
    item: ({ sku }) => sku,
  }),
  parseCandidates: (json) => {
    const { popular } = CandidateTable.parse(json);
    const buyers = new Map(popular.map((row) => [row.sku, row.buyers]));
    return {
      has: (item) => buyers.has(item),
      popular: (limit) => popular.slice(0, limit).map((row) => ({ item: row.sku, score: row.buyers })),
      isNew: ({ items }) => items.length === 0,
      assemble: ({ purchases: lines, items }, wanted) => {
        const bought = new Map(items.map(({ item, count }) => [item, count]));
        const candidates = wanted ?? [...new Set([...bought.keys(), ...buyers.keys()])];
        const rows = candidates.flatMap((item) => [lines, bought.get(item) ?? 0, buyers.get(item) ?? 0]);
        return { items: candidates, rows: Float32Array.from(rows) };
      },
    };
  },
});

/** A regression with two inputs of different types and two outputs. `test/support/models/outside.ts` makes its bundle. */
export const expectedSpend = model.regression({
  name: 'expected-spend',
  description: 'What a customer will spend in the next weeks.',
  entity: customer,
  path: '/v1/customers/{id}/expected-spend',
  ttlS: 600,
  inputs: {
    features: {
      columns: {
        purchases_30d: fromFeature(purchases.window(30), { default: 0 }),
        days_since: fromFeature(lastPurchase.ageDays(), { default: 100 }),
      },
    },
    count: {
      datatype: 'INT64',
      columns: { purchases_365d: fromFeature(purchases.window(365), { default: -1 }) },
    },
  },
  outputs: { value: 'variable', doubled: 'doubled' },
  // Steps of seconds and few requests, so that a test sees a whole rollout.
  rollout: {
    start: 'automatic',
    shadow: { requests: 60, seconds: 1 },
    shares: [20, 50],
    canary: { requests: 10, seconds: 1 },
    approval: true,
  },
  dataset: dataset.ofPeriods({
    ...{ ...ofBuyer, measure: 'sum' },
    value: ({ quantity, unitPrice }) => quantity * unitPrice,
  }),
});

/** A classification with text labels, a field of the request, and a fallback; it has no path. */
export const mood = model.classification({
  name: 'mood',
  description: 'How ready to buy a customer is.',
  entity: customer,
  request: { hour: z.int().min(0).max(23) },
  inputs: {
    input: {
      columns: {
        purchases_30d: fromFeature(purchases.window(30), { default: 0 }),
        hour: fromRequest('hour'),
      },
    },
  },
  // scikit-learn sorts classes by name, and the columns of the probabilities with them.
  classes: ['high', 'low', 'medium'],
  outputs: { label: 'label', probabilities: 'probabilities' },
  fallback: { label: 'medium' },
});

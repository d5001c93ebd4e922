import { expect, it } from 'vitest';
import { answerOf } from '../../../../src/operations/impact/answer.ts';
import { edgesNotFound, graphOf } from '../../../../test/support/impact.ts';
import { SHOP } from '../served.ts';

const graph = await graphOf(SHOP.catalog);

it('knows what each view and each event of the shop reads and writes', () => {
  expect(graph.unknown).toEqual([]);
  expect(edgesNotFound(graph, graph.edges)).toEqual([]);
});

it('finds what the price of a product concerns', () => {
  const { found, writers } = answerOf(graph, 'column:products.unit_price', 'down');
  expect(found.view.map(({ name }) => name).sort()).toEqual(['price-list', 'product', 'products']);
  expect(found.tag.map(({ name }) => name).sort()).toEqual(['product/by-price', 'product:{sku}']);
  expect(writers.map(({ from }) => from)).toContain('field:shop.purchase.unitPrice');
});

it('finds what the price in a purchase concerns', () => {
  const { found } = answerOf(graph, 'field:shop.purchase.unitPrice', 'down');
  expect(found.column.map(({ name }) => name).sort()).toEqual([
    ...['products.priced_at', 'products.unit_price', 'purchases.unit_price'],
  ]);
  expect(found.feature.map(({ name }) => name)).toEqual(['customer.spend_minor']);
  const [customer] = found.view.filter(({ name }) => name === 'customer');
  expect(customer?.by.map(({ relation, from }) => `${relation} ${from}`)).toContain(
    'reads column:purchases.unit_price',
  );
});

import { expect, test } from 'vitest';
import { pageContent } from '../../../../src/gateway/page/content.ts';
import { catalog } from '../../catalog/index.ts';

const { live } = pageContent(catalog, Date.UTC(2026, 0, 1));

test('the page at / follows a purchase first, to the product and to the recommendations', () => {
  const [first] = live.events;
  expect(first?.type).toBe('shop.purchase.v1');
  expect(first?.addresses).toContain('/v1/products/85123A');
  expect(first?.addresses).toContain('/v1/customers/17850/recommendations');
  expect(first?.feeds).toEqual(['/v1/customers/{id}/recommendations']);
});

test('recommended products are shown with their descriptions', () => {
  const ranker = live.models.find(({ name }) => name === 'ranker');
  const row = live.rows.find(({ entity }) => entity === ranker?.items);
  expect(row).toMatchObject({ prefix: '/v1/products/', property: 'sku', label: 'description' });
});

import { SELF } from 'cloudflare:test';
import { expect, it } from 'vitest';
import * as z from 'zod';

const Names = z.array(z.object({ name: z.string(), how: z.string() }));
const Answer = z.object({
  found: z.object({ view: Names, tag: Names, alert: Names }),
  writers: z.array(z.object({ from: z.string() })),
  unknown: z.array(z.object({ about: z.string(), reason: z.string() })),
});

async function ask(query: string, key = 'test-key') {
  const response = await SELF.fetch(`https://shop.test/v1/impact${query}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  return { status: response.status, json: await response.json() };
}

it('runs the views of the catalog in the worker, and finds what a column concerns', async () => {
  const { status, json } = await ask('?element=products.unit_price');
  expect(status).toBe(200);
  const { found, writers, unknown } = Answer.parse(json);
  expect(found.view.map(({ name, how }) => `${name} ${how}`).sort()).toEqual([
    ...['price-list observed', 'product observed', 'products observed'],
  ]);
  expect(found.tag.map(({ name }) => name)).toEqual(['product:{sku}', 'product/by-price']);
  expect(writers.map(({ from }) => from)).toContain('route:PUT /v1/products/{sku}');
  expect(unknown).toHaveLength(1);
});

it('refuses a name that is not one of an element, and a key without the scope', async () => {
  expect(await ask('?element=products.unit_prize')).toMatchObject({
    ...{
      status: 404,
      json: { code: 'unknown_element', detail: expect.stringContaining('products.unit_price') },
    },
  });
  expect(await ask('?element=products')).toMatchObject({ status: 409, json: { code: 'ambiguous_element' } });
  expect(await ask('')).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
  expect(await ask('?element=view:products&direction=sideways')).toMatchObject({ status: 400 });
  expect((await ask('?element=products.unit_price', 'wrong')).status).toBe(401);
});

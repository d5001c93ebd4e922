import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ WARMING: 'on' });
});
afterAll(() => stack[Symbol.asyncDispose]());

const put = (sku: string, unitPrice: number) =>
  stack.caller.ask('PUT', `/v1/products/${sku}`, { json: { description: sku, unitPrice } });
const get = (sku: string) => stack.caller.ask('GET', `/v1/products/${sku}`);
/** Other readers keep the isolate awake: fills run behind their answers, and its mirror learns of what changed. */
async function othersRead(reads: number): Promise<void> {
  for (let read = 0; read < reads; read += 1) await get('WARM-OTHER');
}

it('fills a popular page as soon as it is invalidated, and never one that is rarely read', async () => {
  for (const sku of ['WARM-POPULAR', 'WARM-RARE', 'WARM-OTHER']) await put(sku, 1);
  await get('WARM-RARE');
  for (let read = 0; read < 30; read += 1) await get('WARM-POPULAR');
  let price = 1;
  // Nobody asks for the page between a change and the read, so only a fill ahead makes the read a hit. A fill runs beside
  // the reads of others: a slow machine gets more of them in each round.
  const popular = await eventually(
    async () => {
      price += 1;
      await put('WARM-POPULAR', price);
      await put('WARM-RARE', price);
      await othersRead(30 * price);
      return await get('WARM-POPULAR');
    },
    ({ cache }) => cache.includes('; hit'),
    40_000,
  );
  expect(popular.json).toMatchObject({ unitPrice: price });
  const rare = await get('WARM-RARE');
  expect(rare.json).toMatchObject({ unitPrice: price });
  expect(rare.cache).toContain('fwd=stale');
});

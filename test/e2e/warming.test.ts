import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ WARMING: 'on' });
});
afterAll(() => stack[Symbol.asyncDispose]());

const put = (sku: string, unitPrice: number) =>
  stack.fetch(`/v1/products/${sku}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ description: sku, unitPrice }),
  });
const get = async (sku: string) => {
  const response = await stack.fetch(`/v1/products/${sku}`);
  return { json: await response.json(), cache: response.headers.get('cache-status') ?? '' };
};
/** Other readers keep the isolate awake: fills run behind their answers, and its mirror learns of what changed. */
async function othersRead(): Promise<void> {
  for (let read = 0; read < 15; read += 1) {
    await get('WARM-OTHER');
    await sleep(50);
  }
}

it('fills a page that many read as soon as it was invalidated, and one that nearly nobody reads not at all', async () => {
  for (const sku of ['WARM-POPULAR', 'WARM-RARE', 'WARM-OTHER']) await put(sku, 1);
  await get('WARM-RARE');
  for (let read = 0; read < 30; read += 1) await get('WARM-POPULAR');
  await put('WARM-POPULAR', 2);
  await put('WARM-RARE', 2);
  await othersRead();
  // Nobody has asked for either since: what is there now was filled ahead.
  const popular = await get('WARM-POPULAR');
  expect(popular.json).toMatchObject({ unitPrice: 2 });
  expect(popular.cache).toContain('; hit');
  const rare = await get('WARM-RARE');
  expect(rare.json).toMatchObject({ unitPrice: 2 });
  expect(rare.cache).toContain('fwd=stale');
});

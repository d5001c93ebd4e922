import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../support/node/stack.ts';
import { PurchaseClient, purchaseOf, strong } from './purchases.ts';

let stack: Stack;
let client: PurchaseClient;
beforeAll(async () => {
  stack = await startStack();
  client = new PurchaseClient(stack);
  await client.send([purchaseOf('alice', '10002B'), purchaseOf('alice', '10005E')]);
  await client.folded('alice', 2);
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('a crowd', () => {
  it('of two hundred readers who miss one key sends few to the origin', async () => {
    const path = '/v1/products/10002B?';
    await client.get(path, strong);
    await stack.caller.ask('POST', '/v1/admin/cache/purge', { json: { path } });
    const answers = await Promise.all(Array.from({ length: 200 }, () => client.get(path, strong)));
    expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBe(1);
    const readers = answers.filter(({ cache }) => cache.includes('fwd=') && !cache.includes('collapsed'));
    // Readers wait for another one's read only so long, and on a slow machine some go to the origin themselves, or find the
    // answer that others have stored. That one reads and the others wait is tested where time is the test's own
    // (test/unit/cache/single-flight.test.ts).
    expect(readers.length).toBeLessThan(20);
  });

  it('of two hundred readers who miss one key that was never read sends few to the origin', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => client.get('/v1/products/10005E', strong)),
    );
    expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBe(1);
    const readers = answers.filter(({ cache }) => cache.includes('fwd=') && !cache.includes('collapsed'));
    // One that asks no gate, one that the gate lets read, and those that waited too long.
    expect(readers.length).toBeLessThan(20);
  });
});

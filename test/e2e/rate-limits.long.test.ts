import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { newKey } from '../../src/gateway/principals/key-format.ts';
import { secureBytes } from '../../src/platform/random-bytes.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const Issued = z.object({ id: z.string(), key: z.string() });
const OPERATOR = { authorization: `Bearer ${KEY}` };
const JSON_TYPE = { 'content-type': 'application/json' };
const CLOSED = '/v1/customers?country=Germany';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

async function create(scopes: readonly string[], more = {}): Promise<z.output<typeof Issued>> {
  const response = await stack.fetch('/v1/admin/keys', {
    method: 'POST',
    headers: { ...OPERATOR, ...JSON_TYPE },
    body: JSON.stringify({ name: 'a test', scopes, ...more }),
  });
  expect(response.status).toBe(201);
  return Issued.parse(await response.json());
}

/**
 * Sends until an answer is 429, at most `max` times. Half of them are sent at once: a request is charged when it arrives,
 * and a budget that fills up again by the second outlasts requests that wait for each other on a slow machine.
 */
async function exhaust(
  send: (index: number) => Promise<Response>,
  max: number,
): Promise<Response | undefined> {
  let [sent, refused]: [number, Response | undefined] = [0, undefined];
  const work = async () => {
    while (sent < max && refused === undefined) {
      sent += 1;
      const response = await send(sent);
      await response.arrayBuffer();
      if (response.status === 429) refused = response;
    }
  };
  await Promise.all(Array.from({ length: max / 2 }, work));
  return refused;
}

describe('a key', () => {
  it('shows on uncached answers what is left, and an operator has no limit', async () => {
    const { key } = await create(['operations:read']);
    const mine = await stack.fetch('/v1/quality', { headers: { authorization: `Bearer ${key}` } });
    expect(mine.headers.get('ratelimit-policy')).toBe('"key";q=200000;w=10');
    expect(mine.headers.get('ratelimit')).toMatch(/^"key";r=1\d{5};t=1$/);
    const operator = await stack.fetch('/v1/quality', { headers: OPERATOR });
    expect(operator.headers.get('ratelimit')).toBeNull();
  });

  it('with a quota is refused when it is used up, until the day ends', async () => {
    const { key } = await create(['data:read'], { quotas: { day: 300 } });
    const headers = { authorization: `Bearer ${key}` };
    const refused = await exhaust(() => stack.fetch(CLOSED, { headers }), 400);
    expect(refused?.headers.get('ratelimit-policy')).toBe('"day";q=300;w=86400');
    expect(Number(refused?.headers.get('retry-after'))).toBeLessThanOrEqual(86_400);
    expect(refused?.headers.get('ratelimit')).toMatch(/^"day";r=0;t=\d+$/);
  });

  it('of a quota that is no whole number of units is not created', async () => {
    const response = await stack.fetch('/v1/admin/keys', {
      method: 'POST',
      headers: { ...OPERATOR, ...JSON_TYPE },
      body: JSON.stringify({ name: 'a test', scopes: ['data:read'], quotas: { day: 0 } }),
    });
    expect([response.status, await response.json()]).toMatchObject([400, { pointer: '/quotas/day' }]);
  });
});

describe('while strangers have used up the budget of an address', () => {
  it('with keys that do not exist, health, known keys and operators are answered', async () => {
    const { key } = await create(['data:read', 'data:write', 'operations:read', 'events:write']);
    const mine = { authorization: `Bearer ${key}` };
    expect((await stack.fetch(CLOSED, { headers: mine })).status).toBe(200);
    const refused = await exhaust(
      () => stack.fetch(CLOSED, { headers: { authorization: `Bearer ${newKey(secureBytes).text}` } }),
      400,
    );
    expect(refused?.headers.get('ratelimit-policy')).toBe('"address";q=10000;w=10');
    const unknownReads = await exhaust((index) => stack.fetch(`/v1/products/random-${index}`), 400);
    expect(unknownReads?.status).toBe(429);

    const statuses = await Promise.all([
      stack.fetch('/health/live'),
      stack.fetch('/health/ready'),
      stack.fetch(CLOSED, { headers: mine }),
      stack.fetch('/v1/quality', { headers: mine }),
      stack.fetch('/v1/admin/pipeline', { headers: OPERATOR }),
      stack.fetch('/v1/customers/limits', {
        method: 'PUT',
        headers: { ...mine, ...JSON_TYPE },
        body: JSON.stringify({ country: 'France' }),
      }),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 201]);
  });
});

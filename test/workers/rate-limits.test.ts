import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import type { DeclaredLimits } from '../../src/define/limits.ts';
import { tag } from '../../src/define/tag.ts';
import { view } from '../../src/define/view.ts';
import { unitsOf } from '../../src/gateway/limits/weights.ts';
import { admittedMax, chargeMax, creditOf, ratePolicy } from '../../src/limits/policy.ts';
import { CountedEnv } from '../support/workers/counted-env.ts';

const greeting = view({
  name: 'greeting',
  path: '/v1/greetings/{of}',
  public: true,
  description: 'A greeting.',
  params: { of: z.string() },
  response: z.object({ text: z.string() }),
  cache: { warm: false, beta: 0 },
  load: async (_, { of }) => ({ text: `Hello, ${of}` }),
  tags: ({ of }) => [tag(`greeting:${of}`)],
});
const OPERATOR = { authorization: 'Bearer test-key' };
const counted = new CountedEnv(env);

/** One isolate: its own memory and allowances. */
function isolate(limits: DeclaredLimits = {}) {
  const app = appOf(new Isolate(defineCatalog({ views: { greeting } }, { limits })));
  return async (path: string, address?: string, headers: Record<string, string> = {}) => {
    const context = createExecutionContext();
    const from = address === undefined ? {} : { 'cf-connecting-ip': address };
    const response = await app.request(path, { headers: { ...headers, ...from } }, counted.env, context);
    const text = await response.text();
    await waitOnExecutionContext(context);
    const json: Record<string, unknown> = text.startsWith('{') ? JSON.parse(text) : {};
    return { status: response.status, headers: response.headers, json };
  };
}

/** Calls for limits since the last call of this function. */
function questions(): number {
  return counted.take()['RATE_LIMITER.ask'] ?? 0;
}

beforeAll(async () => {
  // Without a database there are no watermarks, so every bounded read would find its source suspect.
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

describe('an address that reads without a key', () => {
  it('is refused when its budget is used up, and told which, how much and when', async () => {
    const get = isolate({ address: { perSecond: 10, burstS: 20 } });
    const statuses: number[] = [];
    let refused: Awaited<ReturnType<typeof get>> | undefined;
    for (let read = 0; read < 10 && refused === undefined; read += 1) {
      const answer = await get(`/v1/greetings/random-${read}`, '192.0.2.1');
      statuses.push(answer.status);
      if (answer.status !== 200) refused = answer;
    }
    // A fill costs 69 units with its own, and reads may use 160.
    expect(statuses).toEqual([200, 200, 429]);
    expect(refused?.json).toMatchObject({ code: 'rate_limited', status: 429 });
    expect(refused?.headers.get('ratelimit-policy')).toBe('"address";q=200;w=20');
    expect(refused?.headers.get('ratelimit')).toMatch(/^"address";r=0;t=\d+$/);
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(refused?.headers.get('retry-after'))).toBeLessThanOrEqual(20);
    // Another address, health, and an operator are answered.
    expect((await get('/v1/greetings/random-100', '192.0.2.2')).status).toBe(200);
    expect((await get('/health/live', '192.0.2.1')).status).toBe(200);
    expect((await get('/v1/greetings/random-0', '192.0.2.1', OPERATOR)).status).not.toBe(500);
  });

  it('shares its budget with its /64, and with other isolates', async () => {
    const limits = { address: { perSecond: 10, burstS: 20 } };
    const [one, other] = [isolate(limits), isolate(limits)];
    for (let read = 0; read < 4; read += 1) await one(`/v1/greetings/a-${read}`, '2001:db8:0:1::1');
    expect((await one('/v1/greetings/b', '2001:db8:0:1:ffff::2')).status).toBe(429);
    expect((await other('/v1/greetings/b', '2001:0db8::1:0:0:0:2')).status).toBe(429);
    expect((await other('/v1/greetings/b', '2001:db8:0:2::1')).status).toBe(200);
  });

  it('has no budget where the platform names no address', async () => {
    const get = isolate({ address: { perSecond: 1, burstS: 1 } });
    for (let read = 0; read < 5; read += 1)
      expect((await get(`/v1/greetings/none-${read}`)).status).toBe(200);
  });

  it('has what readers without a key have together', async () => {
    const get = isolate({ anonymous: { perSecond: 10, burstS: 20 } });
    for (let read = 0; read < 4; read += 1) await get(`/v1/greetings/all-${read}`, `192.0.2.${read}`);
    const refused = await get('/v1/greetings/all-9', '192.0.2.9');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('ratelimit-policy')).toBe('"anonymous";q=200;w=20');
    // An answer in memory costs the origin nothing.
    expect((await get('/v1/greetings/all-0', '192.0.2.9')).status).toBe(200);
  });
});

describe('the calls for limits', () => {
  it('are none for a warm hit of an address with credit, and few for a hot address', async () => {
    const get = isolate();
    await get('/v1/greetings/hot', '192.0.2.20');
    questions();
    for (let read = 0; read < 1_000; read += 1)
      expect((await get('/v1/greetings/hot', '192.0.2.20')).status).toBe(200);
    // Its credit is 200 units, and it reports each 100.
    expect(questions()).toBeLessThanOrEqual(11);
    for (let read = 0; read < 1_000; read += 1)
      expect((await get('/v1/greetings/hot', `198.51.${read >> 8}.${read & 255}`)).status).toBe(200);
    expect(questions()).toBe(0);
  });
});

it('sixteen clients over four isolates get the limit, and never more than the bound', async () => {
  const address = { perSecond: 1_000, burstS: 2 };
  const policy = ratePolicy(address);
  const isolates = Array.from({ length: 4 }, () => isolate({ address }));
  for (const get of isolates) await get('/v1/greetings/bound', '203.0.113.9');
  const startedAt = performance.now();
  const untilMs = startedAt + 4_000;
  let admitted = 0;
  const client = async (number: number) => {
    const get = isolates[number % isolates.length];
    while (performance.now() < untilMs) {
      const answer = await get?.('/v1/greetings/bound', '203.0.113.9');
      if (answer?.status === 200) admitted += unitsOf('hit');
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, number) => client(number)));
  const tookMs = performance.now() - startedAt;
  expect(admitted).toBeLessThanOrEqual(admittedMax(policy, tookMs, 4));
  // A machine that is too slow to reach the limit shows nothing of it.
  const limit = chargeMax(policy, 'read') + (policy.perSecond * tookMs) / 1_000;
  expect(admitted).toBeLessThanOrEqual(limit * 1.05 + 4 * creditOf(policy));
});

import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { OpenAPIHono } from '@hono/zod-openapi';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { READ_OPERATIONS } from '../../bench/cost/counted.ts';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { tagHashes } from '../../src/cache/clock/tag-hash.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { announce } from '../../src/composition/writing.ts';
import type { CachePolicy } from '../../src/define/cache-policy.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { tag } from '../../src/define/tag.ts';
import { view } from '../../src/define/view.ts';
import type { AppEnv } from '../../src/gateway/context.ts';
import { registerView } from '../../src/gateway/routes/views.ts';
import { CountedEnv } from '../support/workers/counted-env.ts';

/** A view without features: its answers come from its own code, because these tests have no database. */
function greetings(name: string, cache: Partial<CachePolicy>) {
  return view({
    name,
    path: `/v1/${name}/{of}`,
    public: true,
    description: 'A greeting.',
    params: { of: z.string() },
    response: z.object({ text: z.string() }),
    // Nothing fills ahead.
    cache: { warm: false, beta: 0, ...cache },
    load: async (_, { of }) => (of.startsWith('nobody') ? null : { text: `Hello, ${of}` }),
    tags: ({ of }) => [tag(`greeting:${of}`)],
  });
}

const views = {
  usual: greetings('usual', {}),
  alone: greetings('alone', { singleFlight: false }),
  everywhere: greetings('everywhere', { tiers: ['memory', 'colo', 'kv'] }),
};
const catalog = defineCatalog({ views });
const counted = new CountedEnv(env);
/** The cache of the data centre is no binding, so it is counted apart. */
const colo = { match: vi.spyOn(caches.default, 'match'), put: vi.spyOn(caches.default, 'put') };
const lines = (['debug', 'log', 'info', 'warn', 'error'] as const).map((level) => vi.spyOn(console, level));

/** The calls that reads made. Syncs of the mirror and reports of counts follow the time, whatever the number of reads. */
function taken(): Record<string, number> {
  const { 'TAG_CLOCK.sync': _sync, 'CACHE_STATS.flush': _flush, ...calls } = counted.take();
  return calls;
}

/** The calls of the data centre's cache since the last call of this function. */
function takenOfColo(): Record<keyof typeof colo, number> {
  const calls = { match: colo.match.mock.calls.length, put: colo.put.mock.calls.length };
  for (const call of Object.values(colo)) call.mockClear();
  return calls;
}

/** One isolate: its own memory, mirror and counters. */
function isolate() {
  const made = new Isolate(catalog);
  const app = new OpenAPIHono<AppEnv>();
  for (const declared of Object.values(views)) registerView(app, (c) => made.of(c.env), declared);
  return async (path: string, headers: Record<string, string> = {}) => {
    const context = createExecutionContext();
    const response = await app.request(path, { headers }, counted.env, context);
    await response.text();
    await waitOnExecutionContext(context);
    return { status: response.status, cache: response.headers.get('cache-status') ?? '' };
  };
}

beforeAll(async () => {
  // Without a database there are no watermarks, so every bounded read would find its source suspect.
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

let nextKey = 0;
let get: ReturnType<typeof isolate>;
beforeEach(async () => {
  get = isolate();
  // The first read of an isolate syncs its mirror and sends its first counts.
  nextKey += 1;
  await get(`/v1/usual/first-${nextKey}`);
  counted.take();
  takenOfColo();
  for (const line of lines) line.mockClear();
});

describe('the operations of one read', () => {
  it.each([
    ['fill', '/v1/usual/ada', 200],
    ['fillWithKv', '/v1/everywhere/ada', 200],
    ['notFoundWithKv', '/v1/everywhere/nobody', 404],
  ] as const)('%s, and then hits that call nothing and log nothing', async (kind, path, status) => {
    nextKey += 1;
    const key = `${path}-${nextKey}`;
    expect(await get(key)).toMatchObject({ status, cache: expect.stringContaining('fwd=uri-miss') });
    expect(taken()).toEqual(READ_OPERATIONS[kind]);
    expect(takenOfColo()).toEqual({ match: 1, put: 1 });
    for (let read = 0; read < 100; read += 1)
      expect(await get(key)).toMatchObject({ status, cache: expect.stringContaining('; hit') });
    expect(taken()).toEqual(READ_OPERATIONS.warm);
    expect(takenOfColo()).toEqual({ match: 0, put: 0 });
    expect(lines.flatMap(({ mock }) => mock.calls)).toEqual([]);
  });

  it.each([
    ['refill', '/v1/usual/ada'],
    ['refillAlone', '/v1/alone/ada'],
  ] as const)('%s, after an invalidation', async (kind, path) => {
    nextKey += 1;
    await get(`${path}-${nextKey}`);
    await env.TAG_CLOCK.getByName('root').invalidateTags(tagHashes([`greeting:ada-${nextKey}`]));
    counted.take();
    const answer = await get(`${path}-${nextKey}`, { 'millrace-consistency': 'strong' });
    expect(answer).toMatchObject({ status: 200, cache: expect.stringContaining('fwd=stale') });
    expect(taken()).toEqual(READ_OPERATIONS[kind]);
  });

  it('lets no client write to KV with paths that it invents', async () => {
    for (let path = 0; path < 50; path += 1)
      expect((await get(`/v1/everywhere/nobody-${nextKey}-${path}`)).status).toBe(404);
    expect(taken()).toEqual({ 'CACHE.get': 50 });
  });
});

it('a write arms the relay, invalidates once and announces its change, and reads no cache', async () => {
  const bound = new Isolate(catalog).of(counted.env);
  counted.take();
  const kept: Promise<unknown>[] = [];
  // The statement itself needs a database; round-trips.test.ts counts what it takes.
  const row = { tags: ['greeting:ada'], outboxId: 1 };
  const { token } = await announce(
    bound,
    (work) => void kept.push(work),
    async () => row,
  );
  await Promise.all(kept);
  expect(token.seq).toBeGreaterThan(0);
  expect(taken()).toEqual({
    'OUTBOX_RELAY.arm': 1,
    'TAG_CLOCK.invalidateTags': 1,
    'CHANGES.sendBatch': 1,
  });
  expect(takenOfColo()).toEqual({ match: 0, put: 0 });
});

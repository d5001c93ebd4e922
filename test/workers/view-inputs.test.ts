import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { formatToken } from '../../src/cache/clock/clock.ts';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { invalidateTags } from '../../src/composition/clock.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { featureShard } from '../../src/composition/objects.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { tag } from '../../src/define/tag.ts';
import { view } from '../../src/define/view.ts';
import { groupOf } from '../../src/features/groups.ts';
import { foldEvents } from '../../src/features/shards.ts';
import * as entities from '../support/catalog/entities.ts';
import * as events from '../support/catalog/events.ts';
import * as features from '../support/catalog/features.ts';
import { answerAuditStatements } from '../support/workers/audit-database.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const GRAIN_S = 60;
const common = { description: 'A thing.', public: true, params: { id: z.string().min(1) } } as const;
let isBroken = false;

const clock = view({
  ...common,
  name: 'clock',
  path: '/v1/clock/{id}',
  response: z.object({ now: z.number() }),
  now: { granularityS: GRAIN_S },
  load: async (_db, _input, { now }) => ({ now }),
  tags: ({ id }) => [tag(`clock:${id}`)],
});
const fragile = view({
  ...common,
  name: 'fragile',
  path: '/v1/fragile/{id}',
  response: z.object({ id: z.string() }),
  load: async (_db, { id }) => {
    if (isBroken) throw new TypeError("Cannot read properties of undefined (reading 'secret')");
    return { id };
  },
  tags: ({ id }) => [tag(`fragile:${id}`)],
});
const unserializable = view({
  ...common,
  name: 'unserializable',
  path: '/v1/unserializable/{id}',
  response: z.object({ id: z.bigint() }),
  load: async () => ({ id: 1n }),
  tags: () => [tag('unserializable')],
});
const loyalty = view({
  ...common,
  name: 'loyalty',
  path: '/v1/loyalty/{id}',
  response: z.object({ purchases: z.unknown() }),
  features: { customer: { of: [features.purchases], key: ({ id }) => id } },
  load: async (_db, _input, { features: read }) => ({ purchases: read.customer.purchases_30d.value }),
  tags: () => [],
});

const isolate = new Isolate(
  defineCatalog({
    entities,
    events,
    features,
    views: { clock, fragile, unserializable, loyalty },
  }),
);
const app = appOf(isolate);

const shards: Parameters<typeof foldEvents>[2] = {
  fold: (shard, entity, of) => featureShard(env, shard).fold(shard, entity, [...of]),
};
const invalidate = async (tags: readonly string[]) => ({
  'millrace-token': formatToken(await invalidateTags(env, tags)),
});

async function get(path: string, headers: Record<string, string> = {}) {
  const context = createExecutionContext();
  const response = await app.request(path, { headers }, env, context);
  const text = await response.text();
  await waitOnExecutionContext(context);
  return {
    status: response.status,
    cache: response.headers.get('cache-status') ?? '',
    text,
    json: JSON.parse(text) as Record<string, unknown>,
  };
}

const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined);
const logLines = () => logged.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>);

answerAuditStatements();
beforeAll(async () => {
  // Without a database there are no watermarks, so every bounded read would find its source suspect.
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
  await serveEntity('customer');
});
afterEach(() => {
  isBroken = false;
  logged.mockClear();
});

describe('a view that takes `now`', () => {
  it('answers as of the beginning of a grain, and a purge of its path takes the grain', async () => {
    const { json } = await get('/v1/clock/a');
    expect(Number(json['now']) % (GRAIN_S * 1_000)).toBe(0);
    expect(Math.abs(Date.now() - Number(json['now']))).toBeLessThan(2 * GRAIN_S * 1_000);
    expect((await get('/v1/clock/a')).cache).toContain('; hit');
    const context = createExecutionContext();
    const purge = await app.request(
      '/v1/admin/cache/purge',
      {
        method: 'POST',
        headers: { authorization: 'Bearer test-key', 'content-type': 'application/json' },
        body: JSON.stringify({ path: '/v1/clock/a' }),
      },
      env,
      context,
    );
    const { token } = (await purge.json()) as { token: string };
    expect((await get('/v1/clock/a', { 'millrace-token': token })).cache).toContain('fwd=stale');
  });
});

describe('a view that reads features', () => {
  it('reads again once one of them has been folded, although it names no tag', async () => {
    const path = '/v1/loyalty/loyal';
    expect((await get(path)).json).toEqual({ purchases: 0 });
    expect((await get(path)).cache).toContain('; hit');
    const { tags } = await foldEvents(
      Object.values(features).filter((one) => one.kind === 'feature'),
      [
        {
          seq: 1,
          type: 'shop.purchase.v1',
          occurredAt: Date.now(),
          data: { invoice: '1', sku: 'A1', quantity: 1, unitPrice: 1, customerId: 'loyal', country: 'UK' },
        },
      ],
      shards,
    );
    expect(tags).toContain(`features:customer:${groupOf(features.purchases)}:loyal`);
    const answer = await get(path, await invalidate(tags));
    expect([answer.cache, answer.json]).toEqual([expect.stringContaining('fwd=stale'), { purchases: 1 }]);
  });
});

describe("an error of a view's own code", () => {
  it('is a 500 with its name in the log; no older answer stands in for it, and it is not stored', async () => {
    const path = '/v1/fragile/a';
    expect((await get(path)).status).toBe(200);
    const token = await invalidate(['fragile:a']);
    isBroken = true;
    const broken = await get(path, token);
    expect([broken.status, broken.json['code']]).toEqual([500, 'internal']);
    expect(broken.text).not.toContain('secret');
    expect(broken.text).not.toContain('fragile failed');
    expect(broken.cache).toBe('');
    expect(logLines()).toContainEqual(
      expect.objectContaining({
        'log.level': 'error',
        'millrace.view': 'fragile',
        'event.action': 'view-load',
      }),
    );
    isBroken = false;
    expect((await get(path, token)).cache).toContain('fwd=stale');
  });

  it('is the same if the answer cannot be written as JSON', async () => {
    const answer = await get('/v1/unserializable/a');
    expect([answer.status, answer.json['code']]).toEqual([500, 'internal']);
  });
});

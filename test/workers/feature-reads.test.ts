import { SELF } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { versionOf } from '../../src/features/cell-rule.ts';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { shardOf } from '../../src/features/shards.ts';
import { catalog } from '../support/catalog/index.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const DAY_MS = 86_400_000;
/** The age of the events of one day and of the other, in milliseconds. */
const [OLD_MS, OLDER_MS] = [3_600_000, 40 * DAY_MS];
const NOW = Date.now();

async function read(body: unknown) {
  const answer = await SELF.fetch('https://millrace.test/v1/features/read', {
    method: 'POST',
    headers: { authorization: 'Bearer test-key', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

function line(seq: number, customerId: string, ageMs: number): FoldableEvent {
  const data = { invoice: 'A', sku: 'A', quantity: 2, unitPrice: 1.5, customerId, country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - ageMs, data };
}

/** Folds a purchase of the product A into the shards of the customer and of the product. */
async function fold(customerId: string, ageMs: number): Promise<void> {
  for (const [entity, key] of [
    ['customer', customerId],
    ['product', 'A'],
  ] as const) {
    const shard = shardOf(entity, key);
    await env.FEATURE_SHARD.getByName(shard).fold(shard, entity, [
      line(Number(customerId), customerId, ageMs),
    ]);
  }
}

beforeAll(async () => {
  await serveEntity('customer');
  await serveEntity('product');
});

describe('POST /v1/features/read', () => {
  it('answers each value with its status, the time of its event and its age', async () => {
    await fold('1', OLD_MS);
    const { status, json } = await read({
      entity: 'customer',
      keys: ['1', '2'],
      features: ['purchases_30d'],
    });
    expect(status).toBe(200);
    const asOf = Number(json['asOf']);
    expect(json['results']).toEqual([
      {
        key: '1',
        features: {
          purchases_30d: {
            value: 1,
            status: 'PRESENT',
            eventAt: NOW - OLD_MS,
            ageMs: asOf - NOW + OLD_MS,
          },
        },
      },
      {
        key: '2',
        features: { purchases_30d: { value: 0, status: 'NOT_FOUND', eventAt: null, ageMs: null } },
      },
    ]);
  });

  it('serves no value whose newest event is older than the request allows', async () => {
    await fold('3', OLDER_MS);
    const asked = { entity: 'customer', keys: ['3'], features: ['purchases_365d', 'last_purchase_at'] };
    const old = { value: null, status: 'OUTSIDE_MAX_AGE', eventAt: NOW - OLDER_MS };
    expect((await read({ ...asked, maxStalenessS: 86_400 })).json).toMatchObject({
      results: [{ features: { purchases_365d: old, last_purchase_at: old } }],
    });
    expect((await read({ ...asked, maxStalenessS: 41 * 86_400 })).json).toMatchObject({
      results: [{ features: { purchases_365d: { value: 1 } } }],
    });
  });

  it('computes derived features from others and from the request', async () => {
    await fold('4', OLD_MS);
    const asked = { entity: 'customer', keys: ['4', '5'], features: ['order_share'] };
    expect((await read({ ...asked, request: { orderMinor: 150 } })).json).toMatchObject({
      results: [
        { features: { order_share: { value: 0.5, status: 'PRESENT', eventAt: NOW - OLD_MS } } },
        { features: { order_share: { value: null, status: 'NOT_FOUND' } } },
      ],
    });
    const all = (await read({ entity: 'customer', keys: ['4'] })).json['results'] as { features: object }[];
    expect(Object.keys(all[0]?.features ?? {})).not.toContain('order_share');
    const product = await read({ entity: 'product', keys: ['A'] });
    expect(product.json['results']).toMatchObject([{ features: { units_trend: { status: 'PRESENT' } } }]);
  });

  it.each([
    ['a field that is missing', { features: ['order_share'] }, '/request/orderMinor'],
    [
      'a field of the wrong type',
      { features: ['order_share'], request: { orderMinor: 'x' } },
      '/request/orderMinor',
    ],
    ['a field that nothing uses', { request: { toString: 1 } }, '/request/toString'],
    ['an age below zero', { maxStalenessS: -1 }, '/maxStalenessS'],
    ['more than a hundred features', { features: Array.from({ length: 101 }, () => 'items') }, '/features'],
  ])('refuses %s', async (_, more, pointer) => {
    const { status, json } = await read({ entity: 'customer', keys: ['1'], ...more });
    expect({ status, ...json }).toMatchObject({ status: 400, code: 'invalid_request', pointer });
  });

  it('answers a hundred keys of all shards with a hundred values each, in the order of the keys', async () => {
    const keys = Array.from({ length: 100 }, (_, at) => String(at + 1_000));
    await Promise.all(keys.slice(0, 10).map((key) => fold(key, OLD_MS)));
    const features = Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? 'purchases_30d' : 'items'));
    const { status, json } = await read({ entity: 'customer', keys, features });
    expect(status).toBe(200);
    const results = json['results'] as { key: string; features: { purchases_30d: { value: number } } }[];
    expect(results.map(({ key }) => key)).toEqual(keys);
    expect(results.map((of) => of.features.purchases_30d.value)).toEqual(
      keys.map((_, at) => (at < 10 ? 1 : 0)),
    );
  });
});

describe('a read of one version', () => {
  const definition = catalog.features.find(
    ({ name, entity }) => name === 'purchases' && entity.name === 'customer',
  );
  const digits = definition === undefined ? '' : versionOf(definition).digest.slice(0, 12);

  it('gets that of the release beside other features, from the shards and then from memory', async () => {
    await fold('41', OLD_MS);
    const name = `purchases_30d@${digits}`;
    const asked = { entity: 'customer', keys: ['41'], features: ['purchases_30d', name] };
    for (const _ of ['shard', 'memory'])
      expect(await read(asked)).toMatchObject({
        status: 200,
        json: {
          results: [{ features: { purchases_30d: { value: 1 }, [name]: { value: 1, status: 'PRESENT' } } }],
        },
      });
  });

  it('refuses a version that is not kept, and a text that names none', async () => {
    for (const name of ['purchases_30d@000000000000', 'purchases_30d@1', `nothing@${digits}`])
      expect(await read({ entity: 'customer', keys: ['41'], features: [name] })).toMatchObject({
        status: 422,
        json: { code: 'unknown_feature_version' },
      });
  });
});

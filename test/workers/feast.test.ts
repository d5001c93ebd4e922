import { SELF } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { shardOf } from '../../src/features/shards.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const NOW = Date.now();
/** A second's start, an hour ago, and a moment with milliseconds. */
const WHOLE = Math.floor(NOW / 1_000) * 1_000 - 3_600_000;
const PARTIAL = WHOLE + 7;
const NO_TIME = '1970-01-01T00:00:00Z';

async function post(path: string, body: unknown, key: string | null = 'test-key') {
  const answer = await SELF.fetch(`https://millrace.test${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

const read = (body: unknown, key?: string | null) => post('/get-online-features', body, key);

async function fold(seq: number, customerId: string, occurredAt: number): Promise<void> {
  const data = { invoice: 'A', sku: 'A', quantity: 2, unitPrice: 1.5, customerId, country: 'UK' };
  const event: FoldableEvent = { seq, type: 'shop.purchase.v1', occurredAt, data };
  for (const [entity, key] of [
    ['customer', customerId],
    ['product', 'A'],
  ] as const) {
    const shard = shardOf(entity, key);
    await env.FEATURE_SHARD.getByName(shard).fold(shard, entity, [event]);
  }
}

beforeAll(async () => {
  await serveEntity('customer');
  await serveEntity('product');
});

describe('POST /get-online-features', () => {
  it('answers in the form of Feast’s server: one result for each name, over the rows', async () => {
    await fold(9_001, 'a', WHOLE);
    await fold(9_002, 'b', PARTIAL);
    const answer = await read({
      features: ['customer:purchases_30d', 'customer:last_purchase_at', 'customer:items'],
      entities: { customer_id: ['a', 'b', 'zz'] },
      include_feature_view_version_metadata: false,
    });
    const times = [
      new Date(WHOLE).toISOString().replace('.000Z', 'Z'),
      new Date(PARTIAL).toISOString(),
      NO_TIME,
    ];
    const statuses = ['PRESENT', 'PRESENT', 'NOT_FOUND'];
    expect(answer).toEqual({
      status: 200,
      json: {
        metadata: { feature_names: ['customer_id', 'purchases_30d', 'last_purchase_at', 'items'] },
        results: [
          {
            values: ['a', 'b', 'zz'],
            statuses: ['PRESENT', 'PRESENT', 'PRESENT'],
            event_timestamps: [NO_TIME, NO_TIME, NO_TIME],
          },
          { values: [1, 1, 0], statuses, event_timestamps: times },
          { values: [WHOLE, PARTIAL, null], statuses, event_timestamps: times },
          {
            values: [
              [{ item: 'A', count: 1, lastAt: WHOLE }],
              [{ item: 'A', count: 1, lastAt: PARTIAL }],
              null,
            ],
            statuses,
            event_timestamps: times,
          },
        ],
      },
    });
  });

  it('answers features of several entities, and those computed from a column of each row', async () => {
    await fold(9_003, 'c', WHOLE);
    const { json } = await read({
      features: ['customer:order_share', 'product:units_trend', 'customer:purchases_30d'],
      full_feature_names: true,
      entities: { customer: ['c', 'c'], sku: ['A', 'none'], orderMinor: [150, 300], unused: [1, 2] },
    });
    expect(json).toMatchObject({
      metadata: {
        feature_names: [
          'customer',
          'sku',
          'customer__order_share',
          'product__units_trend',
          'customer__purchases_30d',
        ],
      },
      results: [
        { values: ['c', 'c'] },
        { values: ['A', 'none'] },
        { values: [0.5, 1], statuses: ['PRESENT', 'PRESENT'] },
        { statuses: ['PRESENT', 'NOT_FOUND'] },
        { values: [1, 1] },
      ],
    });
  });

  it('takes a model as the feature service of its features, and an entity as that of all its own', async () => {
    const namesOf = async (service: string) => {
      const { json } = await read({ feature_service: service, entities: { customer_id: ['a'] } });
      return (json['metadata'] as { feature_names: string[] }).feature_names;
    };
    expect(await namesOf('customer')).toEqual(
      expect.arrayContaining(['customer_id', 'purchases_30d', 'purchases_365d', 'items']),
    );
    expect(await namesOf('customer')).not.toContain('order_share');
    expect((await namesOf('expected-spend')).length).toBeGreaterThan(1);
  });

  const entities = { customer_id: ['a'] };
  it.each([
    ['no features', { entities }, 400, 'invalid_request', '/features'],
    ['a name without a view', { features: ['items'], entities }, 400, 'invalid_request', '/features/0'],
    ['an unknown view', { features: ['x:items'], entities }, 422, 'unknown_entity', '/features/0'],
    ['an unknown feature', { features: ['customer:x'], entities }, 422, 'unknown_feature', '/features/0'],
    ['no version', { features: ['customer:x@1'], entities }, 422, 'unknown_feature_version', '/features/0'],
    ['an unknown service', { feature_service: 'x', entities }, 422, 'unknown_entity', '/feature_service'],
    [
      'a name twice',
      { features: ['customer:items', 'customer:items'], entities },
      400,
      'invalid_request',
      '/features/1',
    ],
    [
      'no column of the key',
      { features: ['customer:items'], entities: { x: [1] } },
      400,
      'invalid_request',
      '/entities',
    ],
    ['no rows', { features: ['customer:items'], entities: {} }, 400, 'invalid_request', '/entities'],
    [
      'columns of different lengths',
      { features: ['customer:items'], entities: { customer_id: ['a'], x: [] } },
      400,
      'invalid_request',
      '/entities/x',
    ],
    [
      'a key that is null',
      { features: ['customer:items'], entities: { customer_id: ['a', null] } },
      422,
      'unprocessable',
      '/entities/customer_id/1',
    ],
    [
      'a missing field of a derived feature',
      { features: ['customer:order_share'], entities },
      400,
      'invalid_request',
      '/entities/orderMinor',
    ],
    [
      'more than a hundred rows',
      { features: ['customer:items'], entities: { customer_id: Array.from({ length: 101 }, String) } },
      400,
      'invalid_request',
      '/entities',
    ],
  ])('refuses %s', async (_, body, status, code, pointer) => {
    const answer = await read(body);
    expect({ status: answer.status, ...answer.json }).toMatchObject({ status, code, pointer });
  });

  it('reveals nothing to a reader without the key', async () => {
    for (const body of [{ features: ['customer:items'], entities }, { features: ['x:y'], entities }, {}, 'x'])
      expect(await read(body, null)).toMatchObject({ status: 401, json: { code: 'unauthorized' } });
  });
});

describe('POST /push', () => {
  const df = { invoice: ['1'], event_timestamp: ['2026-01-01 00:00:00'] };
  it.each([
    ['an unknown source', { push_source_name: 'x', df }, 422, 'unknown_event_type', '/push_source_name'],
    ['no rows', { push_source_name: 'shop.purchase.v1', df: {} }, 400, 'invalid_request', '/df'],
    [
      'columns of different lengths',
      { push_source_name: 'shop.purchase.v1', df: { ...df, sku: [] } },
      400,
      'invalid_request',
      '/df/sku',
    ],
    ['no time', { push_source_name: 'shop.purchase.v1', df: { sku: ['A'] } }, 400, 'invalid_request', '/df'],
    [
      'values that would not count online',
      { push_source_name: 'shop.purchase.v1', df, to: 'offline' },
      422,
      'unprocessable',
      '/to',
    ],
    ['another target', { push_source_name: 'shop.purchase.v1', df, to: 'x' }, 400, 'invalid_request', '/to'],
  ])('refuses %s', async (_, body, status, code, pointer) => {
    const answer = await post('/push', body);
    expect({ status: answer.status, ...answer.json }).toMatchObject({ status, code, pointer });
  });
});

it('answers Feast’s health check without a key', async () => {
  expect((await SELF.fetch('https://millrace.test/health')).status).toBe(200);
});

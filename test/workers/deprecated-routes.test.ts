import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { entity } from '../../src/define/entity.ts';
import { model } from '../../src/define/model.ts';
import { fromRequest } from '../../src/define/model-input.ts';
import { customers, products } from '../support/catalog/tables.ts';

/** Writes of an entity and the routes of models whose end is announced. The tests have no database. */

const END = { since: '2026-11-28', sunset: '2027-06-30' };
const customer = entity({
  name: 'customer',
  table: customers,
  key: customers.id,
  write: {
    path: 'customers',
    body: z.strictObject({ country: z.string() }),
    deprecated: { ...END, by: '/v3/people/{id}' },
  },
});
const product = entity({
  name: 'product',
  table: products,
  key: products.sku,
  write: {
    path: 'products',
    body: z.strictObject({ description: z.string(), unitPrice: z.number() }),
  },
});
const common = {
  description: 'A guess.',
  entity: customer,
  public: true,
  request: { size: z.number() },
  inputs: { input: { columns: { size: fromRequest('size') } } },
  outputs: { value: 'variable' },
  fallback: { value: 1 },
} as const;
const guess = model.regression({ ...common, name: 'guess', path: '/v1/customers/{id}/guess' });
const oldGuess = model.regression({
  ...common,
  name: 'old-guess',
  path: '/v1/customers/{id}/old-guess',
  deprecated: { ...END, by: guess },
});
const closedGuess = model.regression({ ...common, name: 'closed-guess', public: false, deprecated: END });
const lastGuess = model.regression({ ...common, name: 'last-guess', deprecated: { since: '2026-11-28' } });

const app = appOf(
  new Isolate(
    defineCatalog({ entities: { customer, product }, models: { closedGuess, guess, oldGuess, lastGuess } }),
  ),
);
// The secret of the deployment; vitest.config.ts has its hash.
const KEY = { authorization: 'Bearer test-key' };

async function send(method: string, path: string, body?: object, headers: Record<string, string> = KEY) {
  const context = createExecutionContext();
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const sent = { method, headers: { ...headers, 'content-type': 'application/json' }, ...json };
  const response = await app.request(path, sent, env, context);
  const answer: unknown = response.status === 204 ? null : await response.json();
  await waitOnExecutionContext(context);
  const [deprecation, sunset, link] = ['deprecation', 'sunset', 'link'].map((name) =>
    response.headers.get(name),
  );
  return { status: response.status, answer, announced: [deprecation, sunset, link] };
}

const DESCRIBED = '</openapi.json>; rel="deprecation"; type="application/json"';
const announcedFor = (successor: string) => [
  '@1795824000',
  'Wed, 30 Jun 2027 00:00:00 GMT',
  `${DESCRIBED}, <${successor}>; rel="successor-version"`,
];
const NONE = [null, null, null];

beforeAll(async () => {
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

describe('a deprecated write', () => {
  it('announces its end by PUT and DELETE, in failures too, with the address of what replaces it', async () => {
    for (const [method, body] of [['PUT', { country: 'PT' }], ['DELETE']] as const) {
      const sent = await send(method, '/v1/customers/a%20b', body);
      expect([sent.status, sent.announced]).toEqual([503, announcedFor('/v3/people/a%20b')]);
    }
    const invalid = await send('PUT', '/v1/customers/a', { country: 7 });
    expect([invalid.status, invalid.announced]).toEqual([400, announcedFor('/v3/people/a')]);
  });

  it('announces nothing to a sender without a key, and nothing of writes that stay', async () => {
    const stranger = await send('DELETE', '/v1/customers/a', undefined, {});
    expect([stranger.status, stranger.announced]).toEqual([401, NONE]);
    const other = await send('DELETE', '/v1/products/a');
    expect([other.status, other.announced]).toEqual([503, NONE]);
  });
});

describe('a deprecated model', () => {
  it('announces its end at each of its routes, with that route of the model that replaces it', async () => {
    const read = await send('GET', '/v1/customers/a/old-guess?size=1');
    expect([read.status, read.announced]).toEqual([200, announcedFor('/v1/customers/a/guess')]);
    const again = await send('GET', '/v1/customers/a/old-guess?size=1');
    expect(again.announced).toEqual(announcedFor('/v1/customers/a/guess'));
    const predicted = await send('POST', '/v1/predictions/old-guess', { key: 'a', request: { size: 1 } });
    expect([predicted.status, predicted.announced]).toEqual([200, announcedFor('/v1/predictions/guess')]);
    for (const [method, path, action] of [
      ['GET', '/v2/models/old-guess', ''],
      ['GET', '/v2/models/old-guess/ready', '/ready'],
      ['POST', '/v2/models/old-guess/versions/1/infer', '/infer'],
    ] as const)
      expect((await send(method, path)).announced, path).toEqual(announcedFor(`/v2/models/guess${action}`));
  });

  it('announces nothing to a sender without the right to it', async () => {
    const body = { key: 'a', request: { size: 1 } };
    for (const path of ['/v1/predictions/closed-guess', '/v2/models/closed-guess/infer']) {
      const stranger = await send('POST', path, body, {});
      expect([stranger.status, stranger.announced], path).toEqual([401, NONE]);
    }
    const known = await send('POST', '/v1/predictions/closed-guess', body);
    expect([known.status, known.announced[0]]).toEqual([200, '@1795824000']);
  });

  it('needs no day of its end and no successor', async () => {
    const predicted = await send('POST', '/v1/predictions/last-guess', { key: 'a', request: { size: 1 } });
    expect(predicted.announced).toEqual(['@1795824000', null, DESCRIBED]);
  });

  it('leaves other models as they are', async () => {
    const read = await send('GET', '/v1/customers/a/guess?size=1');
    expect([read.status, read.announced]).toEqual([200, NONE]);
    const predicted = await send('POST', '/v1/predictions/guess', { key: 'a', request: { size: 1 } });
    expect([predicted.status, predicted.announced]).toEqual([200, NONE]);
    expect((await send('GET', '/v2/models/guess')).announced).toEqual(NONE);
    expect((await send('POST', '/v1/predictions/none', {})).announced).toEqual(NONE);
  });
});

it('the document and the inventory show what is deprecated', async () => {
  const Operation = z.looseObject({
    deprecated: z.boolean().optional(),
    responses: z.record(z.string(), z.looseObject({ headers: z.looseObject({}).optional() })),
  });
  const { answer } = await send('GET', '/openapi.json');
  const { paths } = z.object({ paths: z.record(z.string(), z.record(z.string(), Operation)) }).parse(answer);
  for (const [method, path, status] of [
    ['put', '/v1/customers/{id}', '200'],
    ['put', '/v1/customers/{id}', '201'],
    ['delete', '/v1/customers/{id}', '204'],
    ['get', '/v1/customers/{id}/old-guess', '200'],
    ['post', '/v1/predictions/old-guess', '200'],
  ] as const) {
    const operation = paths[path]?.[method];
    expect(operation?.deprecated, path).toBe(true);
    expect(Object.keys(operation?.responses[status]?.headers ?? {}), path).toEqual(
      expect.arrayContaining(['Deprecation', 'Link', 'Sunset']),
    );
  }
  for (const path of ['/v1/customers/{id}/guess', '/v1/products/{sku}'])
    expect(Object.values(paths[path] ?? {}).every(({ deprecated }) => deprecated === undefined)).toBe(true);
  const inventory = await send('GET', '/v1/inventory');
  const { operations } = z
    .object({ operations: z.array(z.looseObject({ operationId: z.string() })) })
    .parse(inventory.answer);
  const deprecatedOf = (id: string) =>
    operations.find(({ operationId }) => operationId === id)?.['deprecated'];
  expect(deprecatedOf('deleteCustomer')).toEqual({ ...END, by: '/v3/people/{id}' });
  expect(deprecatedOf('readOldGuess')).toEqual({ ...END, by: '/v1/customers/{id}/guess' });
  expect(deprecatedOf('predictLastGuess')).toEqual({ since: '2026-11-28', sunset: null, by: null });
  expect(deprecatedOf('deleteProduct')).toBeNull();
});

it('the users of each are counted by principal', async () => {
  const Versions = z.object({
    versions: z.array(
      z.looseObject({
        version: z.string(),
        users: z.array(z.object({ principal: z.string(), total: z.int(), lastHour: z.int() })),
      }),
    ),
  });
  await send('DELETE', '/v1/customers/counted');
  await send('DELETE', '/v1/customers/counted', undefined, {});
  await send('POST', '/v1/predictions/last-guess', { key: 'a', request: { size: 1 } }, {});
  // An isolate sends its counts with the first answer of the cache after the interval of a flush.
  const versions = await vi.waitFor(
    async () => {
      await send('GET', '/v1/customers/a/old-guess?size=1', undefined, {});
      const { versions: counted } = Versions.parse((await send('GET', '/v1/admin/deprecations')).answer);
      for (const { version, users } of counted) expect(users.length, version).toBeGreaterThan(0);
      return counted;
    },
    { timeout: 30_000, interval: 200 },
  );
  const names = ['entity customer', 'model closed-guess', 'model last-guess', 'model old-guess'];
  expect(versions.map(({ version }) => version).toSorted()).toEqual(names);
  const [writes, closed, last, old] = names.map((name) => versions.find(({ version }) => version === name));
  expect(closed?.users.map(({ principal }) => principal)).toEqual(['key:bootstrap']);
  expect(writes).toMatchObject({ version: 'entity customer', ...END, by: '/v3/people/{id}' });
  expect(writes?.users.map(({ principal }) => principal)).toEqual(['key:bootstrap']);
  expect(old).toMatchObject({ version: 'model old-guess', ...END, by: 'model guess' });
  expect(old?.users.map(({ principal }) => principal).toSorted()).toEqual(['anonymous', 'key:bootstrap']);
  expect(last).toMatchObject({ version: 'model last-guess', since: '2026-11-28', sunset: null, by: null });
});

import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { invalidateTags } from '../../src/composition/clock.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { earlierView } from '../../src/define/earlier-view.ts';
import { tag } from '../../src/define/tag.ts';
import { view } from '../../src/define/view.ts';

/** Two versions of one resource, side by side from one `load`. */

let degrees = 20;
const weather = view({
  name: 'weather',
  path: '/v3/weather/{place}',
  description: 'The temperature of a place.',
  params: { place: z.string().max(32) },
  query: { unit: z.enum(['celsius', 'kelvin']).default('celsius') },
  response: z.object({ temperature: z.object({ value: z.number(), unit: z.string() }) }),
  cache: { warm: false },
  load: async (_, { place, unit }) =>
    place === 'nowhere'
      ? null
      : { temperature: { value: unit === 'kelvin' ? degrees + 273 : degrees, unit } },
  tags: ({ place }) => [tag(`weather:${place}`)],
});
const weatherV1 = earlierView(weather, {
  name: 'weather-v1',
  path: '/v1/weather/{place}',
  deprecated: { since: '2026-11-28', sunset: '2027-06-30' },
  query: { scale: z.enum(['C', 'K']).default('C') },
  up: ({ scale }) => ({ unit: scale === 'K' ? ('kelvin' as const) : ('celsius' as const) }),
  response: z.object({ degrees: z.number() }),
  down: ({ temperature }) => ({ degrees: temperature.value }),
});
const app = appOf(new Isolate(defineCatalog({ views: { weather, weatherV1 } })));
// The secret of the deployment; vitest.config.ts has its hash.
const KEY = { authorization: 'Bearer test-key' };

async function get(path: string, headers: Record<string, string> = {}) {
  const context = createExecutionContext();
  const response = await app.request(path, { headers: { ...KEY, ...headers } }, env, context);
  const json: unknown = await response.json();
  await waitOnExecutionContext(context);
  return { status: response.status, headers: response.headers, json };
}

beforeAll(async () => {
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

describe('two versions of a view', () => {
  it('answer from one load, the earlier one by a cast of its query and of the answer', async () => {
    expect((await get('/v3/weather/here?unit=kelvin')).json).toEqual({
      temperature: { value: 293, unit: 'kelvin' },
    });
    expect((await get('/v1/weather/here?scale=K')).json).toEqual({ degrees: 293 });
    expect((await get('/v1/weather/here')).json).toEqual({ degrees: 20 });
    // A parameter of the current version is none of the earlier one.
    expect((await get('/v1/weather/here?unit=kelvin')).status).toBe(400);
    expect((await get('/v1/weather/nowhere')).status).toBe(404);
  });

  it('are both cached, and both void at one invalidation', async () => {
    await get('/v1/weather/there');
    await get('/v3/weather/there');
    for (const version of ['v1', 'v3'])
      expect((await get(`/${version}/weather/there`)).headers.get('cache-status')).toContain('; hit');
    degrees = 21;
    await invalidateTags(env, ['weather:there']);
    const strong = { 'millrace-consistency': 'strong' };
    expect((await get('/v1/weather/there', strong)).json).toEqual({ degrees: 21 });
    expect((await get('/v3/weather/there', strong)).json).toEqual({
      temperature: { value: 21, unit: 'celsius' },
    });
    degrees = 20;
  });

  it('announce the end of the earlier one, with the address of the current one', async () => {
    const { headers } = await get('/v1/weather/far%20away');
    // 2026-11-28T00:00:00Z
    expect(headers.get('deprecation')).toBe('@1795824000');
    expect(headers.get('sunset')).toBe('Wed, 30 Jun 2027 00:00:00 GMT');
    expect(headers.get('link')).toBe(
      '</openapi.json>; rel="deprecation"; type="application/json", </v3/weather/far%20away>; rel="successor-version"',
    );
    const current = await get('/v3/weather/far%20away');
    expect([current.headers.get('deprecation'), current.headers.get('sunset')]).toEqual([null, null]);
    // On hits and on 404s too.
    expect((await get('/v1/weather/far%20away')).headers.get('deprecation')).toBe('@1795824000');
    expect((await get('/v1/weather/nowhere')).headers.get('deprecation')).toBe('@1795824000');
  });

  it('are two operations of the document and of the inventory', async () => {
    const { json } = await get('/openapi.json');
    const { paths } = z
      .object({ paths: z.record(z.string(), z.looseObject({ get: z.looseObject({}).optional() })) })
      .parse(json);
    expect(paths['/v1/weather/{place}']?.get).toMatchObject({
      operationId: 'readWeatherV1',
      deprecated: true,
    });
    expect(paths['/v3/weather/{place}']?.get).not.toHaveProperty('deprecated');
    const inventory = await get('/v1/inventory');
    const { operations } = z
      .object({ operations: z.array(z.looseObject({ path: z.string() })) })
      .parse(inventory.json);
    expect(operations.find(({ path }) => path === '/v1/weather/{place}')).toMatchObject({
      version: 1,
      deprecated: { since: '2026-11-28', sunset: '2027-06-30', by: '/v3/weather/{place}' },
      phase: 'cache',
      cost: 'read',
      owner: 'catalog',
      declaredBy: 'view weather-v1',
      cache: { level: 'bounded', boundMs: 2_000, ttlS: 300, tiers: ['memory', 'colo'] },
    });
    expect(operations.find(({ path }) => path === '/v3/weather/{place}')).toMatchObject({
      version: 3,
      deprecated: null,
    });
  });
});

it('shows who still uses a deprecated version, and counts without a row for each request', async () => {
  const users = async () => {
    const { json } = await get('/v1/admin/deprecations');
    return z
      .object({
        versions: z.array(z.looseObject({ version: z.string(), users: z.array(z.looseObject({})) })),
      })
      .parse(json).versions;
  };
  const before = await users();
  expect(before.map(({ version }) => version)).toEqual(['weather-v1']);
  for (let request = 0; request < 20; request += 1) await get('/v1/weather/here');
  // An isolate sends its counts with the first answer after the interval of a flush.
  const [version] = await vi.waitFor(
    async () => {
      await get('/v3/weather/here');
      const versions = await users();
      expect(Number(versions[0]?.users[0]?.['total'])).toBeGreaterThanOrEqual(20);
      return versions;
    },
    { timeout: 30_000, interval: 200 },
  );
  expect(version).toMatchObject({
    version: 'weather-v1',
    since: '2026-11-28',
    sunset: '2027-06-30',
    by: '/v3/weather/{place}',
  });
  const [user] = version?.users ?? [];
  expect(user).toMatchObject({ principal: 'key:bootstrap' });
  expect(user?.['lastHour']).toBe(user?.['total']);
  const metrics = await app.request('/metrics', { headers: KEY }, env, createExecutionContext());
  const text = await metrics.text();
  expect(text).toContain(
    `millrace_deprecated_requests_total{version="weather-v1"} ${String(user?.['total'])}`,
  );
  expect(text).not.toContain('bootstrap');
});

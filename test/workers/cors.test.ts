import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { tag } from '../../src/define/tag.ts';
import { view } from '../../src/define/view.ts';

const greetings = (name: string, isPublic: boolean) =>
  view({
    name,
    path: `/v1/${name}/{of}`,
    public: isPublic,
    description: 'A greeting.',
    params: { of: z.string().max(9) },
    response: z.object({ text: z.string() }),
    cache: { warm: false, beta: 0 },
    load: async (_, { of }) => (of === 'none' ? null : { text: `Hello, ${of}` }),
    tags: ({ of }) => [tag(`${name}:${of}`)],
  });
const open = greetings('open', true);
const closed = greetings('closed', false);

const PAGE = 'https://app.example.com';
const OTHER = 'https://other.example.com';
const KEY = { authorization: 'Bearer test-key' };

function gateway(origins: readonly string[] = []) {
  const app = appOf(new Isolate(defineCatalog({ views: { open, closed } }, { cors: { origins } })));
  return async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const context = createExecutionContext();
    const response = await app.fetch(new Request(`https://m.test${path}`, { method, headers }), env, context);
    await response.text();
    await waitOnExecutionContext(context);
    const header = (name: string) => response.headers.get(name);
    return {
      status: response.status,
      origin: header('access-control-allow-origin'),
      exposed: header('access-control-expose-headers'),
      methods: header('access-control-allow-methods'),
      allowed: header('access-control-allow-headers'),
      credentials: header('access-control-allow-credentials'),
      vary: header('vary') ?? '',
      cacheStatus: header('cache-status') ?? '',
    };
  };
}

const preflight = (origin: string, method: string) => ({ origin, 'access-control-request-method': method });

beforeAll(async () => {
  // Without a database there are no watermarks, so every bounded read would find its source suspect.
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

describe('what is public', () => {
  it('is readable by any page without credentials: fills, hits, 304, 404, refusals', async () => {
    const get = gateway();
    const readable = { origin: '*', exposed: '*', credentials: null };
    expect(await get('/v1/open/a')).toMatchObject({ ...readable, status: 200 });
    // The second and third hit of an answer have the headers that are kept.
    for (let hit = 0; hit < 3; hit += 1) {
      const found = await get('/v1/open/a', { origin: OTHER });
      expect(found).toMatchObject({ ...readable, status: 200 });
      expect([found.cacheStatus, found.vary]).toEqual([
        expect.stringContaining('; hit'),
        expect.not.stringContaining('Origin'),
      ]);
    }
    expect(await get('/v1/open/a', { 'if-none-match': '*' })).toMatchObject({ ...readable, status: 304 });
    expect(await get('/v1/open/none')).toMatchObject({ ...readable, status: 404 });
    expect(await get('/v1/open/much-too-long')).toMatchObject({ ...readable, status: 400 });
    expect(await get('/v1/open/a?x=%ff')).toMatchObject({ ...readable, status: 400 });
    expect(await get('/health/live')).toMatchObject({ ...readable, status: 200 });
    expect(await get('/openapi.json')).toMatchObject({ ...readable, status: 200 });
  });

  it('has a preflight that admits every header but the key', async () => {
    expect(await gateway()('/v1/open/a', preflight(OTHER, 'GET'), 'OPTIONS')).toMatchObject({
      ...{ status: 204, origin: '*', methods: 'GET, HEAD', allowed: '*', credentials: null },
    });
  });
});

describe('what needs a key', () => {
  it('is readable by no page unless its origin is declared', async () => {
    for (const [get, vary] of [
      [gateway(), ''],
      [gateway([PAGE]), 'Origin'],
    ] as const)
      for (const path of ['/v1/closed/a', '/v1/admin/keys', '/v1/none'])
        for (const headers of [{ origin: OTHER }, { ...KEY, origin: OTHER }, { ...KEY, origin: 'null' }]) {
          const answer = await get(path, headers);
          expect([path, answer]).toMatchObject([path, { origin: null, exposed: null }]);
          expect(answer.vary).toContain(vary);
        }
    expect(await gateway([PAGE])('/v1/closed/a', preflight(OTHER, 'GET'), 'OPTIONS')).toMatchObject({
      ...{ status: 204, origin: null, methods: null, allowed: null },
    });
    expect(await gateway()('/v1/open/a', preflight(OTHER, 'PUT'), 'OPTIONS')).toMatchObject({ origin: null });
  });

  it('is readable by pages of a declared origin, each by itself, with the key that the page sends', async () => {
    const get = gateway([PAGE, 'http://localhost:5173']);
    for (let read = 0; read < 4; read += 1)
      for (const origin of [PAGE, 'http://localhost:5173', OTHER]) {
        const declared = origin === OTHER ? null : origin;
        const answer = await get('/v1/closed/b', { ...KEY, origin });
        expect(answer).toMatchObject({ status: 200, origin: declared, credentials: null });
        expect(answer.vary).toContain('Origin');
      }
    expect(await get('/v1/closed/b', { origin: PAGE })).toMatchObject({ status: 401, origin: PAGE });
    expect(await get('/v1/events', { origin: PAGE }, 'POST')).toMatchObject({ status: 401, origin: PAGE });
    const asked = await get('/v1/events', preflight(PAGE, 'POST'), 'OPTIONS');
    expect(asked).toMatchObject({
      ...{ status: 204, origin: PAGE, methods: 'POST, OPTIONS', allowed: '*, Authorization' },
    });
  });

  it('answers OPTIONS without a preflight as before', async () => {
    expect(await gateway([PAGE])('/v1/events', {}, 'OPTIONS')).toMatchObject({
      ...{ status: 204, origin: null, methods: null, vary: '' },
    });
  });
});

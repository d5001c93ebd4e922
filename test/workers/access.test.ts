import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { SCOPES } from '../../src/define/principal.ts';
import { tag } from '../../src/define/tag.ts';
import { view } from '../../src/define/view.ts';
import { catalog } from '../support/catalog/index.ts';

const KEY = { authorization: 'Bearer test-key' };
const STRANGERS: Readonly<Record<string, Record<string, string>>> = {
  'no key': {},
  'a wrong key': { authorization: 'Bearer wrong-key' },
  'another scheme': { authorization: 'Basic dGVzdC1rZXk=' },
};

type App = ReturnType<typeof appOf>;

async function call(app: App, method: string, path: string, headers: Record<string, string> = {}) {
  const context = createExecutionContext();
  const response = await app.request(path, { method, headers }, env, context);
  // The live feed has no end.
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const text = isStream ? '' : await response.text();
  if (isStream) await response.body?.cancel();
  else await waitOnExecutionContext(context);
  const json: Record<string, unknown> = text.startsWith('{') ? JSON.parse(text) : {};
  return { status: response.status, headers: response.headers, json };
}

interface Operation {
  readonly security?: readonly Record<string, unknown>[];
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** Every route of the document, with a path that can be asked for, and whether it says that it needs the key. */
async function routesOf(app: App) {
  const { json } = await call(app, 'GET', '/openapi.json');
  const { paths } = json as unknown as Document;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security = [] }]) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{\w+\}/g, 'x'),
      isClosed: security.length > 0 && !security.some((one) => Object.keys(one).length === 0),
    })),
  );
}

beforeAll(async () => {
  // Without a database there are no watermarks, so every bounded read would find its source suspect.
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

describe('every route of the document', () => {
  const app = appOf(new Isolate(catalog));

  it('asks for the key exactly where the document says so', async () => {
    const routes = await routesOf(app);
    const open = routes.filter(({ isClosed }) => !isClosed).map(({ method, path }) => `${method} ${path}`);
    expect(open.sort()).toEqual([
      'GET /health',
      'GET /health/live',
      'GET /health/ready',
      'GET /openapi.json',
      'GET /v1/events/types',
      'GET /v1/price-list',
      'GET /v1/products',
      'GET /v1/products/x',
      'GET /v2/health/live',
      'GET /v2/health/ready',
    ]);
    for (const { method, path, isClosed } of routes) {
      for (const [who, headers] of Object.entries(STRANGERS)) {
        const { status, json, headers: told } = await call(app, method, path, headers);
        expect([method, path, who, status === 401]).toEqual([method, path, who, isClosed]);
        if (!isClosed) continue;
        // The Open Inference Protocol has a body of its own.
        if (path.startsWith('/v2')) expect(Object.keys(json)).toEqual(['error']);
        else expect(json).toMatchObject({ code: 'unauthorized', pointer: 'Authorization' });
        expect(told.get('www-authenticate')).toContain('Bearer');
      }
      const { status } = await call(app, method, path, KEY);
      expect([method, path, status === 401]).toEqual([method, path, false]);
    }
  });

  it('names one scope for each operation that asks for the key, and the 401 and 403', async () => {
    const { json } = await call(app, 'GET', '/openapi.json');
    const { paths } = json as unknown as Document;
    const guarded = Object.values(paths)
      .flatMap((methods) => Object.values(methods))
      .filter(({ security = [] }) => security.some((one) => 'key' in one));
    expect(guarded.length).toBeGreaterThan(30);
    for (const { security, responses } of guarded) {
      expect(security).toEqual([{ key: [expect.toBeOneOf([...SCOPES])] }]);
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['401', '403']));
    }
  });

  it('answers every request without the key with the same 401, even if it is invalid', async () => {
    for (const [method, path] of [
      ['GET', '/v1/customers?limit=0'],
      ['GET', '/v1/customers/%3Cb%3E'],
      ['GET', '/v1/customers/x/purchases?before=nowhere'],
      ['GET', '/v1/customers/x/recommendations?limit=0'],
      ['POST', '/v1/predictions/oracle'],
      ['POST', '/v1/features/read'],
      ['GET', '/v1/nothing'],
      ['PUT', '/v1/nothing'],
    ] as const) {
      const { status, json } = await call(app, method, path);
      expect([path, status, json['code']]).toEqual([path, 401, 'unauthorized']);
    }
  });

  it('is reachable with the key', async () => {
    const statuses = async (headers: Record<string, string>) => [
      (await call(app, 'GET', '/v1/customers?limit=0', headers)).status,
      (await call(app, 'GET', '/v1/nothing', headers)).status,
    ];
    expect(await statuses(KEY)).toEqual([400, 404]);
    expect(await statuses({ authorization: 'bearer test-key' })).toEqual([400, 404]);
  });
});

describe('views', () => {
  const load = async (_: unknown, { id }: { id: string }) => (id === 'none' ? null : { id });
  const common = {
    description: 'A thing.',
    params: { id: z.string() },
    response: z.object({ id: z.string() }),
  };
  const closed = view({
    ...common,
    name: 'closed',
    path: '/v1/closed/{id}',
    load,
    tags: () => [tag('closed')],
  });
  const open = view({
    ...common,
    name: 'open',
    path: '/v1/open/{id}',
    public: true,
    load,
    tags: () => [tag('open')],
  });
  const mine = view({
    ...common,
    name: 'mine',
    path: '/v1/mine/{id}',
    public: true,
    principal: true,
    response: z.object({ id: z.string(), who: z.string() }),
    load: async (_db, { id }, { principal }) => ({ id, who: principal.kind }),
    tags: () => [tag('mine')],
  });
  const app = appOf(new Isolate(defineCatalog({ views: { closed, open, mine } })));

  it('that are closed ask for the key on a hit and on a cached 404, too', async () => {
    for (const [path, status] of [
      ['/v1/closed/one', 200],
      ['/v1/closed/none', 404],
    ] as const) {
      await call(app, 'GET', path, KEY);
      const hit = await call(app, 'GET', path, KEY);
      expect([hit.status, hit.headers.get('cache-status')]).toEqual([
        status,
        expect.stringContaining('; hit'),
      ]);
      for (const headers of Object.values(STRANGERS)) {
        const stranger = await call(app, 'GET', path, headers);
        expect(stranger.status).toBe(401);
        expect(stranger.headers.get('cache-control')).toBe('no-store');
        expect(stranger.headers.get('cache-status')).toBeNull();
      }
    }
  });

  it('that are closed forbid other caches to share their answers', async () => {
    const { headers } = await call(app, 'GET', '/v1/closed/two', KEY);
    expect(headers.get('cache-control')).toContain('private');
    expect(headers.get('vary')).toContain('Authorization');
  });

  it('that are public give the same answer for any credential', async () => {
    await call(app, 'GET', '/v1/open/one', KEY);
    for (const headers of Object.values(STRANGERS)) {
      const answer = await call(app, 'GET', '/v1/open/one', headers);
      expect([answer.status, answer.headers.get('cache-status')]).toEqual([
        200,
        expect.stringContaining('; hit'),
      ]);
      expect(answer.headers.get('vary')).not.toContain('Authorization');
    }
  });

  it('that take the principal have an answer for each principal, and 401 for a wrong credential', async () => {
    const answers = [];
    for (const headers of [{}, KEY, {}, KEY]) {
      const { json, headers: told } = await call(app, 'GET', '/v1/mine/one', headers);
      answers.push([
        json['who'],
        told.get('cache-status')?.includes('; hit'),
        told.get('vary')?.includes('Authorization'),
      ]);
    }
    expect(answers).toEqual([
      ['anonymous', false, true],
      ['key', false, true],
      ['anonymous', true, true],
      ['key', true, true],
    ]);
    expect((await call(app, 'GET', '/v1/mine/one', STRANGERS['a wrong key'])).status).toBe(401);
  });

  it('say in the document who may read them', async () => {
    const { json } = await call(app, 'GET', '/openapi.json');
    const { paths } = json as unknown as Document;
    const securityOf = (path: string) => paths[path]?.['get']?.security;
    expect(securityOf('/v1/closed/{id}')).toEqual([{ key: ['data:read'] }]);
    expect(securityOf('/v1/open/{id}')).toEqual([]);
    expect(securityOf('/v1/mine/{id}')).toEqual([{}, { key: [] }]);
  });
});

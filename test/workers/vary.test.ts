import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { OpenAPIHono } from '@hono/zod-openapi';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { formatToken } from '../../src/cache/clock/clock.ts';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { keyTag } from '../../src/cache/entry.ts';
import { invalidateTags } from '../../src/composition/clock.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { tag } from '../../src/define/tag.ts';
import { acceptLanguage } from '../../src/define/vary.ts';
import { view } from '../../src/define/view.ts';
import { resolvePath } from '../../src/gateway/cached-routes.ts';
import type { AppEnv } from '../../src/gateway/context.ts';
import { registerView } from '../../src/gateway/routes/views.ts';

const GREETINGS = { en: 'Hello', de: 'Hallo', fr: 'Bonjour' };
let loads: string[] = [];
const greeting = view({
  name: 'greeting',
  path: '/v1/greetings/{name}',
  public: true,
  description: 'A greeting in the language of the reader.',
  params: { name: z.string() },
  response: z.object({ text: z.string() }),
  // Filling ahead would put back what a test expects to be void.
  cache: { ttlS: 60, warm: false },
  vary: { language: acceptLanguage(['en', 'de', 'fr'], 'en') },
  load: async (_, { name }, { variant: { language } }) => {
    loads.push(language);
    return name === 'nobody' ? null : { text: `${GREETINGS[language]}, ${name}` };
  },
  tags: ({ name }, _, { variant: { language } }) => [tag(`greeting:${name}:${language}`)],
});

const isolate = new Isolate(defineCatalog({ views: { greeting } }));
const app = new OpenAPIHono<AppEnv>();
registerView(app, (c) => isolate.of(c.env), greeting);
app.doc31('/openapi.json', { openapi: '3.1.0', info: { title: 'Test', version: '1' } });

async function get(path: string, headers: Record<string, string> = {}) {
  const context = createExecutionContext();
  const response = await app.request(path, { headers }, env, context);
  const text = await response.text();
  await waitOnExecutionContext(context);
  return {
    status: response.status,
    vary: response.headers.get('vary'),
    cache: response.headers.get('cache-status') ?? '',
    etag: response.headers.get('etag') ?? '',
    text: text === '' ? undefined : (JSON.parse(text) as { text?: string }).text,
  };
}
async function invalidate(tag: string): Promise<Record<string, string>> {
  return { 'millrace-token': formatToken(await invalidateTags(env, [tag])) };
}

beforeAll(async () => {
  // Without a database there are no watermarks, so every bounded read would find its source suspect.
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

beforeEach(() => {
  loads = [];
});

describe('a view that varies on the language', () => {
  it('has one answer for each language, for any spelling of the preference, and names the header', async () => {
    const vary = 'Millrace-Consistency, Millrace-Token, Accept-Language';
    expect(await get('/v1/greetings/ada', { 'accept-language': 'de' })).toMatchObject({
      text: 'Hallo, ada',
      vary,
    });
    for (const wish of ['de-CH, en;q=0.5', 'DE', 'ja, de;q=0.1']) {
      expect(await get('/v1/greetings/ada', { 'accept-language': wish })).toMatchObject({
        text: 'Hallo, ada',
        cache: expect.stringContaining('; hit'),
      });
    }
    expect((await get('/v1/greetings/ada')).text).toBe('Hello, ada');
    expect((await get('/v1/greetings/ada', { 'accept-language': 'fr' })).text).toBe('Bonjour, ada');
    expect(loads).toEqual(['de', 'en', 'fr']);
  });

  it('names it with a 304 and a 404, too', async () => {
    const headers = { 'accept-language': 'fr' };
    const { etag } = await get('/v1/greetings/bob', headers);
    const unchanged = await get('/v1/greetings/bob', { ...headers, 'if-none-match': etag });
    expect(unchanged).toMatchObject({ status: 304, vary: expect.stringContaining('Accept-Language') });
    const other = await get('/v1/greetings/bob', { 'accept-language': 'de', 'if-none-match': etag });
    expect(other).toMatchObject({ status: 200, text: 'Hallo, bob' });
    const missing = await get('/v1/greetings/nobody', headers);
    expect(missing).toMatchObject({ status: 404, vary: expect.stringContaining('Accept-Language') });
  });

  it('is not split by a header that it does not declare', async () => {
    await get('/v1/greetings/eve', { 'user-agent': 'one', cookie: 'a=1', 'accept-encoding': 'br' });
    const again = await get('/v1/greetings/eve', {
      'user-agent': 'two',
      cookie: 'a=2',
      accept: 'text/html, */*;q=0.1',
    });
    expect(again.cache).toContain('; hit');
    expect(loads).toEqual(['en']);
  });

  it('loses all variants by a purge of the path, and one by a purge of its tag', async () => {
    const wishes = ['en', 'de', 'fr'].map((language) => ({ 'accept-language': language }));
    const hits = async (path: string, token: Record<string, string>) => {
      const answers = [];
      for (const wish of wishes)
        answers.push((await get(path, { ...wish, ...token })).cache.includes('; hit'));
      return answers;
    };
    for (const path of ['/v1/greetings/kim', '/v1/greetings/lee']) await hits(path, {});
    const german = await invalidate('greeting:kim:de');
    expect(await hits('/v1/greetings/kim', german)).toEqual([true, false, true]);
    const { name, path, params, query } = greeting;
    const { key } = resolvePath([{ view: name, path, params, query }], '/v1/greetings/kim');
    const purged = await invalidate(keyTag(key));
    expect(await hits('/v1/greetings/kim', purged)).toEqual([false, false, false]);
    expect(await hits('/v1/greetings/lee', purged)).toEqual([true, true, true]);
  });

  it('is described with the header in OpenAPI', async () => {
    const response = await app.request('/openapi.json', {}, env, createExecutionContext());
    const { paths } = (await response.json()) as {
      paths: Record<string, { get: { parameters: { in: string; name: string }[] } }>;
    };
    expect(paths['/v1/greetings/{name}']?.get.parameters).toContainEqual(
      expect.objectContaining({ in: 'header', name: 'accept-language' }),
    );
  });
});

describe('a view that declares a dimension wrongly', () => {
  const declared = (dimensions: number) => ({
    ...greeting,
    vary: Object.fromEntries(
      Array.from({ length: dimensions }, (_, index) => [`d${index}`, acceptLanguage(['en'], 'en')]),
    ),
  });

  it('is refused at load for too many dimensions, and fails for a value outside its set', async () => {
    expect(() => registerView(new OpenAPIHono<AppEnv>(), (c) => isolate.of(c.env), declared(9))).toThrow(
      /9 dimensions/,
    );
    const loose = { header: 'X-Any', values: ['a'], choose: (header: string | null) => header ?? 'a' };
    const other = new OpenAPIHono<AppEnv>();
    registerView(other, (c) => isolate.of(c.env), { ...greeting, vary: { any: loose } });
    other.onError((error, c) => c.text(error.message, 500));
    const answer = await other.request(
      '/v1/greetings/x',
      { headers: { 'x-any': 'b' } },
      env,
      createExecutionContext(),
    );
    expect([answer.status, await answer.text()]).toEqual([500, expect.stringContaining('does not declare')]);
  });
});

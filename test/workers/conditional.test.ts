import { SELF } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';

const URL_BASE = 'https://shop.test';
const KEY = { authorization: 'Bearer test-key' };

async function ask(method: string, path: string, headers: Record<string, string> = {}) {
  const response = await SELF.fetch(`${URL_BASE}${path}`, { method, headers: { ...KEY, ...headers } });
  const text = await response.text();
  const code: unknown = text.startsWith('{') ? Object(JSON.parse(text)).code : undefined;
  return { status: response.status, headers: response.headers, text, code };
}

describe.each(['/openapi.json', '/v1/inventory', '/v1/events/types', '/docs', '/v2', '/v1/admin/queues'])(
  'a read of %s',
  (path) => {
    it('is 304 for a client that has the answer, by GET and by HEAD', async () => {
      const first = await ask('GET', path);
      const etag = first.headers.get('etag') ?? '';
      expect([first.status, etag]).toEqual([200, expect.stringMatching(/^"[0-9a-f]{32}"$/)]);
      for (const method of ['GET', 'HEAD'])
        for (const sent of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
          const again = await ask(method, path, { 'if-none-match': sent });
          expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag]);
          expect(again.headers.get('content-type')).toBeNull();
          for (const name of ['cache-control', 'vary', 'x-content-type-options'])
            expect(again.headers.get(name), name).toBe(first.headers.get(name));
          expect(again.headers.get('x-request-id')).toMatch(/./);
        }
    });

    it('is whole for any other client, and HEAD has the headers of GET', async () => {
      const whole = await ask('GET', path, { 'if-none-match': '"other"' });
      expect(whole.status).toBe(200);
      expect(whole.text.length).toBeGreaterThan(0);
      const head = await ask('HEAD', path);
      expect([head.status, head.text, head.headers.get('etag')]).toEqual([
        200,
        '',
        whole.headers.get('etag'),
      ]);
    });

    it('is 412 for a client that asks for another state', async () => {
      const { headers } = await ask('GET', path);
      const etag = headers.get('etag') ?? '';
      expect((await ask('GET', path, { 'if-match': etag })).status).toBe(200);
      expect((await ask('GET', path, { 'if-match': '*' })).status).toBe(200);
      for (const other of ['"other"', `W/${etag}`]) {
        const refused = await ask('GET', path, { 'if-match': other });
        expect(refused.status).toBe(412);
        expect(refused.headers.get('etag')).toBeNull();
      }
    });
  },
);

it('a failure and a stream have no entity tag', async () => {
  expect((await ask('GET', '/no/route')).headers.get('etag')).toBeNull();
  const stream = await SELF.fetch(`${URL_BASE}/v1/changes`, { headers: KEY });
  expect([stream.status, stream.headers.get('etag')]).toEqual([200, null]);
  await stream.body?.cancel();
});

describe('a precondition of an operation that evaluates none', () => {
  it.each([
    ['POST', '/v1/events', 'if-match', '*'],
    ['POST', '/v1/events', 'if-match', '"a"'],
    ['POST', '/v1/predictions/ranker', 'if-match', '"a"'],
    ['POST', '/v2/models/ranker/infer', 'if-match', '"a"'],
    ['POST', '/v1/features/read', 'if-match', '"a"'],
    ['POST', '/v1/tickets', 'if-match', '"a"'],
    ['POST', '/v1/admin/keys', 'if-none-match', '*'],
    ['DELETE', '/v1/admin/keys/0123456789abcdef', 'if-none-match', '"a"'],
    ['DELETE', '/v1/admin/keys/0123456789abcdef', 'if-match', '"a"'],
    ['PUT', '/v1/admin/models/ranker/champion', 'if-match', '"a"'],
  ])('%s %s with %s: %s is refused before it has an effect', async (method, path, header, value) => {
    const { status, text } = await ask(method, path, { [header]: value });
    expect([status, text]).toEqual([
      412,
      expect.stringContaining(path.startsWith('/v2') ? 'does not evaluate' : '"precondition_unsupported"'),
    ]);
  });

  it('is true where there is nothing to match, and is ignored where no route answers', async () => {
    expect((await ask('POST', '/v1/events', { 'if-none-match': '*' })).status).toBe(415);
    expect((await ask('POST', '/no/route', { 'if-match': '*' })).status).toBe(404);
    expect((await ask('POST', '/v1/inventory', { 'if-match': '*' })).status).toBe(405);
    expect((await ask('OPTIONS', '/v1/events', { 'if-match': '*' })).status).toBe(204);
  });

  it('is evaluated by writes of rows, which have no database here', async () => {
    expect((await ask('DELETE', '/v1/products/x', { 'if-match': '"row-1"' })).status).toBe(503);
  });

  it('is not read before the key', async () => {
    const { status } = await ask('POST', '/v1/admin/keys', { authorization: 'Bearer no', 'if-match': '*' });
    expect(status).toBe(401);
  });
});

describe('what a client accepts', () => {
  it.each([
    ['GET', '/v1/inventory', 'text/html', 406],
    ['GET', '/v1/inventory', 'application/json;q=0, */*', 406],
    ['GET', '/v1/inventory', 'text/html, */*;q=0.1', 200],
    ['GET', '/metrics', 'text/plain;version=0.0.4', 200],
    ['GET', '/metrics', 'text/html', 406],
    ['GET', '/v1/products', 'text/html', 406],
    ['GET', '/v1/customers/x', 'image/*', 406],
    // A refused request has no effect, and neither is a method without an answer refused.
    ['POST', '/v1/events', 'text/html', 406],
    ['DELETE', '/v1/products/x', 'text/html', 503],
    ['GET', '/docs', 'text/html', 200],
  ])('%s %s with %s is %i', async (method, path, accept, status) => {
    const answer = await ask(method, path, { accept });
    expect(answer.status).toBe(status);
    if (status === 406) expect(answer.code).toBe('not_acceptable');
  });

  it('is asked for after the key, so that nobody learns what exists', async () => {
    const response = await SELF.fetch(`${URL_BASE}/v1/customers/x`, { headers: { accept: 'text/html' } });
    expect(response.status).toBe(401);
  });
});

it('a content coding that is not known is 415, with the codings that are', async () => {
  const response = await SELF.fetch(`${URL_BASE}/v1/events`, {
    method: 'POST',
    headers: { ...KEY, 'content-type': 'application/cloudevents+json', 'content-encoding': 'br' },
    body: '{}',
  });
  expect([response.status, response.headers.get('accept-encoding')]).toEqual([415, 'gzip, identity']);
  expect(await response.json()).toMatchObject({ code: 'unsupported_encoding', pointer: 'Content-Encoding' });
});

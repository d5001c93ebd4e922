import { describe, expect, it } from 'vitest';
import {
  type ClientOptions,
  createClient,
  DeadlineError,
  ProblemError,
  sendEvents,
  UnexpectedAnswerError,
  UnreachableError,
} from '../../../src/client/index.ts';
import { cut, json, problem, quick, type Script, scriptedServer, silence } from './server.ts';

interface Routes {
  '/v1/things/{id}': {
    get: {
      parameters: { path: { id: string }; query?: { page?: number; tag?: readonly string[] } };
      responses: { 200: { content: { 'application/json': { name: string } } } };
    };
    put: {
      parameters: { path: { id: string } };
      requestBody: { content: { 'application/json': { name: string } } };
      responses: { 204: { content?: never } };
    };
  };
}
const anEvent = { id: 'e1', source: '/test', type: 'made.v1', data: {} };
const clientOf = (url: string, options: Partial<ClientOptions> = {}) =>
  createClient<Routes>({ url, key: 'secret', ...options });

describe('a call', () => {
  it('sends the parameters of its route, the key and a trace, and returns data, token and trace', async () => {
    await using server = await scriptedServer(json({ name: 'kettle' }, { 'millrace-token': 'e.7' }));
    const answer = await clientOf(server.url).get('/v1/things/{id}', {
      path: { id: 'a/ü ?' },
      query: { page: 2, tag: ['x', 'y&z'] },
      consistency: 'strong',
      token: 'e.3',
    });
    expect(answer).toMatchObject({ data: { name: 'kettle' }, status: 200, token: 'e.7' });
    const [received] = server.received;
    expect(received).toMatchObject({
      method: 'GET',
      url: '/v1/things/a%2F%C3%BC%20%3F?page=2&tag=x&tag=y%26z',
      headers: {
        authorization: 'Bearer secret',
        'millrace-consistency': 'strong',
        'millrace-token': 'e.3',
        traceparent: expect.stringMatching(new RegExp(`^00-${answer.traceId}-[0-9a-f]{16}-01$`)),
      },
    });
    expect(received?.headers).not.toHaveProperty('idempotency-key');
  });

  it('sends a body as JSON with an idempotency key of its own, and returns nothing for 204', async () => {
    await using server = await scriptedServer((response) => response.writeHead(204).end());
    const client = clientOf(server.url);
    const call = () => client.put('/v1/things/{id}', { path: { id: 'a' }, body: { name: 'ä' } });
    expect((await call()).data).toBeUndefined();
    await call();
    const [first, second] = server.received;
    expect(first).toMatchObject({ method: 'PUT', headers: { 'content-type': 'application/json' } });
    expect(first?.body.toString()).toBe('{"name":"ä"}');
    expect(first?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
    expect(second?.headers['idempotency-key']).not.toBe(first?.headers['idempotency-key']);
  });

  it('continues the trace of its caller, as a new span for each attempt', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    await using server = await scriptedServer(problem(503, 'database_unavailable'), json({ name: 'x' }));
    const { system } = quick();
    await clientOf(server.url, { system }).get('/v1/things/{id}', {
      path: { id: 'a' },
      traceparent: `00-${trace}-00f067aa0ba902b7-00`,
    });
    const spans = server.received.map(({ headers }) => String(headers['traceparent']));
    expect(spans.every((span) => span.startsWith(`00-${trace}-`) && span.endsWith('-00'))).toBe(true);
    expect(new Set([...spans, `00-${trace}-00f067aa0ba902b7-00`]).size).toBe(3);
  });

  it('asks for the credential before each call, so that it may be renewed', async () => {
    await using server = await scriptedServer(json({ name: 'x' }));
    let calls = 0;
    const client = clientOf(server.url, { key: async () => `token-${++calls}` });
    for (let n = 0; n < 2; n += 1) await client.get('/v1/things/{id}', { path: { id: 'a' } });
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer token-1',
      'Bearer token-2',
    ]);
  });

  it('refuses a parameter that would address something else', async () => {
    const client = clientOf('http://127.0.0.1:9');
    for (const id of ['', '.', '..'])
      await expect(client.get('/v1/things/{id}', { path: { id } })).rejects.toThrow(/"id" of/);
    expect(() => createClient({ url: 'ftp://example.com' })).toThrow('http or https');
  });
});

describe('a retry', () => {
  it('waits for what Retry-After asks and a random part of the backoff, for 429 and 503', async () => {
    await using server = await scriptedServer(
      problem(429, 'rate_limited', { 'retry-after': '2' }),
      problem(503, 'database_unavailable'),
      cut,
      json({ name: 'x' }),
    );
    const { system, waits } = quick();
    await clientOf(server.url, { system }).get('/v1/things/{id}', { path: { id: 'a' } });
    expect(waits).toEqual([2_250, 500, 1_000]);
  });

  it('counts a Retry-After that is a date from the date of the response, however wrong its own clock is', async () => {
    const HOUR_MS = 3_600_000;
    for (const aheadMs of [-24 * HOUR_MS, -HOUR_MS, 0, HOUR_MS, 24 * HOUR_MS]) {
      const serverNow = Date.parse('2026-11-29T12:00:00Z');
      const date = new Date(serverNow).toUTCString();
      const until = new Date(serverNow + 7_000).toUTCString();
      await using server = await scriptedServer(
        problem(503, 'database_unavailable', { date, 'retry-after': until }),
        problem(503, 'database_unavailable', { date: until, 'retry-after': date }),
        json({ name: 'x' }),
      );
      const { system, waits } = quick();
      const moved = { ...system, wallClock: () => serverNow + aheadMs };
      await clientOf(server.url, { system: moved }).get('/v1/things/{id}', { path: { id: 'a' } });
      // Half of the backoff each time; a moment that has passed asks for nothing more.
      expect([aheadMs, ...waits]).toEqual([aheadMs, 7_250, 500]);
    }
  });

  it('repeats an unsafe call under the same idempotency key, and never without one', async () => {
    await using server = await scriptedServer(problem(503, 'x'), (response) => response.writeHead(204).end());
    const { system } = quick();
    const client = clientOf(server.url, { system });
    const call = { path: { id: 'a' }, body: { name: 'x' } };
    await client.put('/v1/things/{id}', call);
    const [first, second] = server.received;
    expect(first?.headers['idempotency-key']).toBeDefined();
    expect(second?.headers['idempotency-key']).toBe(first?.headers['idempotency-key']);

    await using other = await scriptedServer(problem(503, 'database_unavailable'));
    const once = clientOf(other.url, { system });
    await expect(once.put('/v1/things/{id}', { ...call, idempotencyKey: false })).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    expect(other.received).toHaveLength(1);
    expect(other.received[0]?.headers).not.toHaveProperty('idempotency-key');
  });

  it('waits for what a proxy asks that answers in place of the worker', async () => {
    await using server = await scriptedServer(
      (response) => response.writeHead(503, { 'retry-after': '9' }).end('<html>Maintenance</html>'),
      json({ name: 'x' }),
    );
    const { system, waits } = quick();
    const client = clientOf(server.url, { system });
    const refused = client.get('/v1/things/{id}', { path: { id: 'a' }, isRepeatable: false });
    await expect(refused).rejects.toMatchObject({ status: 503, retryAfterMs: 9_000 });
    await using again = await scriptedServer(
      (response) => response.writeHead(503, { 'retry-after': '9' }).end('<html>Maintenance</html>'),
      json({ name: 'x' }),
    );
    await clientOf(again.url, { system }).get('/v1/things/{id}', { path: { id: 'a' } });
    expect(waits).toEqual([9_250]);
  });

  it('does not repeat a refusal, and does not wait beyond the deadline', async () => {
    const { system, waits } = quick();
    await using refusing = await scriptedServer(problem(404, 'not_found'));
    const refused = clientOf(refusing.url, { system }).get('/v1/things/{id}', { path: { id: 'a' } });
    await expect(refused).rejects.toBeInstanceOf(ProblemError);
    expect(refusing.received).toHaveLength(1);
    await using away = await scriptedServer(problem(503, 'x', { 'retry-after': '3600' }));
    const late = clientOf(away.url, { system }).get('/v1/things/{id}', { path: { id: 'a' } });
    await expect(late).rejects.toMatchObject({ status: 503, retryAfterMs: 3_600_000 });
    expect(away.received).toHaveLength(1);
    expect(waits).toEqual([]);
  });

  it('ends with the deadline while the server is away', async () => {
    await using server = await scriptedServer(problem(503, 'x'));
    const { system, waits } = quick();
    const call = clientOf(server.url, { system, deadlineMs: 60_000 }).get('/v1/things/{id}', {
      path: { id: 'a' },
    });
    await expect(call).rejects.toBeInstanceOf(ProblemError);
    const sum = waits.reduce((total, wait) => total + wait, 0);
    expect(sum).toBeLessThan(60_000);
    expect(sum).toBeGreaterThan(50_000);
  });
});

describe('an error', () => {
  const ask = (url: string, options: Partial<ClientOptions> = {}) =>
    clientOf(url, { deadlineMs: 300, attemptMs: 100, ...options }).get('/v1/things/{id}', {
      path: { id: 'a' },
    });

  it('has the problem of the server, with its closed code', async () => {
    await using server = await scriptedServer(problem(422, 'unknown_feature', { ratelimit: '"k";r=0;t=1' }));
    const error = await ask(server.url).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({
      ...{ name: 'ProblemError', code: 'unknown_feature', status: 422 },
      problem: { detail: 'The reason.', requestId: 'r1' },
      headers: expect.toSatisfy((headers: Headers) => headers.get('ratelimit') === '"k";r=0;t=1'),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it('says that a peer hangs, is not there, or is not Millrace', async () => {
    await using silent = await scriptedServer(silence);
    await expect(ask(silent.url)).rejects.toBeInstanceOf(DeadlineError);
    await using slow = await scriptedServer((response) => response.writeHead(200).write('{"na'));
    await expect(ask(slow.url)).rejects.toBeInstanceOf(DeadlineError);
    await using gone = await scriptedServer(silence);
    await gone[Symbol.asyncDispose]();
    await expect(ask(gone.url)).rejects.toBeInstanceOf(UnreachableError);
    await using other = await scriptedServer((response) => response.writeHead(404).end('<html>nginx</html>'));
    await expect(ask(other.url)).rejects.toThrow(/may not be a Millrace worker: <html>nginx/);
    await using moved = await scriptedServer((response) =>
      response.writeHead(302, { location: 'http://127.0.0.1:9' }).end(),
    );
    await expect(ask(moved.url)).rejects.toBeInstanceOf(UnexpectedAnswerError);
  });

  it('says that an answer of success is not one of Millrace, and does not repeat the call', async () => {
    const bodies = [
      ['text/html; charset=utf-8', '<html>Sign in</html>', /200 with a page of HTML: <html>Sign in/],
      ['application/json', '{"name":', /200 with JSON that has a fault: {"name":/],
    ] as const;
    for (const [type, body, message] of bodies) {
      await using server = await scriptedServer((response) =>
        response.writeHead(200, { 'content-type': type }).end(body),
      );
      const error = await ask(server.url, { deadlineMs: 30_000 }).catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(UnexpectedAnswerError);
      expect(error).toMatchObject({ status: 200, message: expect.stringMatching(message) });
      expect(server.received).toHaveLength(1);
      await expect(sendEvents(createClient({ url: server.url }), [anEvent])).rejects.toThrow(
        /does not report on the events: /,
      );
    }
  });

  it('is the reason of the caller’s signal, at once', async () => {
    await using server = await scriptedServer(silence);
    const controller = new AbortController();
    const call = clientOf(server.url).get('/v1/things/{id}', {
      path: { id: 'a' },
      signal: controller.signal,
    });
    controller.abort(new Error('closed the page'));
    await expect(call).rejects.toThrow('closed the page');
    // While it waits for the next attempt, too.
    await using away = await scriptedServer(problem(503, 'x', { 'retry-after': '20' }));
    const waiting = new AbortController();
    const retried = clientOf(away.url).get('/v1/things/{id}', { path: { id: 'a' }, signal: waiting.signal });
    await expect.poll(() => away.received.length).toBe(1);
    waiting.abort(new Error('gone'));
    await expect(retried).rejects.toThrow('gone');
  });
});

describe('fetch', () => {
  const half: Script = (response) => response.writeHead(200, { 'content-length': '8' }).write('half');

  it('returns a response whose body has arrived', async () => {
    await using server = await scriptedServer((response) =>
      response.writeHead(200, { 'millrace-token': 'e.1' }).end('a body'),
    );
    const response = await clientOf(server.url).fetch('/page');
    await server[Symbol.asyncDispose]();
    expect([response.status, response.headers.get('millrace-token')]).toEqual([200, 'e.1']);
    expect(await response.text()).toBe('a body');
  });

  it('returns an answer that has no body', async () => {
    for (const status of [204, 304]) {
      await using server = await scriptedServer((response) => response.writeHead(status).end());
      expect((await clientOf(server.url).fetch('/page')).status).toBe(status);
    }
  });

  it('repeats the call if its body is cut off or takes longer than an attempt', async () => {
    const cutOff: Script = (response, received) => {
      half(response, received);
      setTimeout(() => response.destroy(), 10);
    };
    await using server = await scriptedServer(half, cutOff, (response) => response.end('all of it'));
    const { system, waits } = quick();
    const client = clientOf(server.url, { system, attemptMs: 200 });
    expect(await (await client.fetch('/page')).text()).toBe('all of it');
    expect(waits).toHaveLength(2);
    await using slow = await scriptedServer(half);
    const late = clientOf(slow.url, { attemptMs: 100, deadlineMs: 100 }).fetch('/page');
    await expect(late).rejects.toBeInstanceOf(DeadlineError);
  });

  it('returns a stream with its headers, and leaves its end to the caller', async () => {
    await using server = await scriptedServer(half);
    const controller = new AbortController();
    const client = clientOf(server.url, { attemptMs: 100, deadlineMs: 100 });
    const { body } = await client.fetch('/feed', { isStream: true, signal: controller.signal });
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    expect(await reader?.read()).toEqual({ value: 'half', done: false });
    const next = reader?.read();
    const first = await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 300, 'open'))]);
    expect(first).toBe('open');
    controller.abort(new Error('read enough'));
    await expect(next).rejects.toThrow('read enough');
  });
});

describe('a session', () => {
  it('passes the newest token on, and ignores an older one that arrives late', async () => {
    const tokens = ['e.5', 'e.9', 'e.7', 'e.8'];
    await using server = await scriptedServer(
      ...tokens.map((token) => json({ name: 'x' }, { 'millrace-token': token })),
    );
    const session = clientOf(server.url).session();
    for (let n = 0; n < 4; n += 1) await session.get('/v1/things/{id}', { path: { id: 'a' } });
    expect(server.received.map(({ headers }) => headers['millrace-token'])).toEqual([
      undefined,
      'e.5',
      'e.9',
      'e.9',
    ]);
    expect(session.token).toBe('e.9');
  });

  it('reads strongly once its clock was made anew', async () => {
    await using server = await scriptedServer(
      problem(412, 'token_from_another_epoch'),
      json({ name: 'x' }, { 'millrace-token': 'new.1' }),
    );
    const session = clientOf(server.url).session('old.9');
    await session.get('/v1/things/{id}', { path: { id: 'a' } });
    expect(server.received[1]?.headers).toMatchObject({ 'millrace-consistency': 'strong' });
    expect(server.received[1]?.headers).not.toHaveProperty('millrace-token');
    expect(session.token).toBe('new.1');
  });
});

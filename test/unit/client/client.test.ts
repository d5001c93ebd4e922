import { gunzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import {
  type ClientOptions,
  type ClientSystem,
  createClient,
  DeadlineError,
  ProblemError,
  sendEvents,
  UnexpectedAnswerError,
  UnreachableError,
} from '../../../src/client/index.ts';
import { cut, json, problem, scriptedServer, silence } from './server.ts';

/** The waits between attempts pass at once, on a clock of their own, and are recorded. */
function quick(): { system: Partial<ClientSystem>; waits: number[] } {
  const waits: number[] = [];
  let waited = 0;
  const sleep = async (ms: number) => {
    waits.push(ms);
    waited += ms;
  };
  return { waits, system: { sleep, random: () => 0.5, now: () => performance.now() + waited } };
}

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
    await using server = await scriptedServer(problem(422, 'unknown_feature'));
    const error = await ask(server.url).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({
      ...{ name: 'ProblemError', code: 'unknown_feature', status: 422 },
      problem: { detail: 'The reason.', requestId: 'r1' },
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

describe('sendEvents', () => {
  const event = (n: number) => ({ id: `e${n}`, source: '/test', type: 'made.v1', data: { n } });
  const report = (accepted: number, verdicts: unknown[] = []) => ({
    ...{ accepted, duplicates: verdicts.length, quarantined: 0, verdicts },
  });

  it('sends gzipped batches of at most a thousand, and numbers the verdicts through', async () => {
    await using server = await scriptedServer(
      json(report(1_000), { 'millrace-token': 'e.1' }, 201),
      problem(503, 'queue_unavailable'),
      json(report(499, [{ index: 3, id: 'e1003', verdict: 'duplicate' }]), { 'millrace-token': 'e.2' }, 207),
    );
    const { system } = quick();
    const sent = Array.from({ length: 1_500 }, (_, n) => event(n));
    const counts: number[] = [];
    const result = await sendEvents(clientOf(server.url, { system }), sent, {
      ...{ wait: true, lane: 'bulk', onProgress: ({ accepted }) => counts.push(accepted) },
    });
    expect(result).toEqual({
      ...{ accepted: 1_499, duplicates: 1, quarantined: 0, token: 'e.2' },
      verdicts: [{ index: 1_003, id: 'e1003', verdict: 'duplicate' }],
    });
    expect(counts).toEqual([1_000, 1_499]);
    const [first, , third] = server.received;
    expect(first?.headers).toMatchObject({
      'content-type': 'application/cloudevents-batch+json',
      'content-encoding': 'gzip',
      prefer: 'wait',
      'millrace-lane': 'bulk',
    });
    // An event is identified by its source and id, so a repetition needs no other key.
    expect(first?.headers).not.toHaveProperty('idempotency-key');
    const sizes = [first, third].map((one) => JSON.parse(gunzipSync(one?.body ?? '').toString()).length);
    expect(sizes).toEqual([1_000, 500]);
  });

  it('gzips without a blob, which a browser that is short of memory refuses to read', async () => {
    await using server = await scriptedServer(json(report(20), {}, 202));
    const sent = Array.from({ length: 20 }, (_, n) => event(n));
    const refused = vi.spyOn(Blob.prototype, 'stream').mockImplementation(() => {
      throw new DOMException('The blob could not be read', 'NotReadableError');
    });
    try {
      await sendEvents(clientOf(server.url), sent);
    } finally {
      refused.mockRestore();
    }
    const [first] = server.received;
    expect(first?.headers).toMatchObject({ 'content-encoding': 'gzip' });
    expect(JSON.parse(gunzipSync(first?.body ?? '').toString())).toHaveLength(20);
  });

  it('cuts batches by bytes, keeps an id over retries, and sends small ones as they are', async () => {
    await using server = await scriptedServer(cut, json(report(1), {}, 202));
    const { system } = quick();
    const { id: _, ...withoutId } = event(1);
    const result = await sendEvents(clientOf(server.url, { system }), [withoutId]);
    expect(result.token).toBeUndefined();
    const [first, second] = server.received.map(({ body }) => JSON.parse(body.toString()));
    expect(first[0]).toMatchObject({ specversion: '1.0', id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(second).toEqual(first);

    await using large = await scriptedServer(json(report(0), {}, 202));
    const heavy = Array.from({ length: 100 }, (__, n) => ({
      ...event(n),
      data: { text: 'x'.repeat(60_000) },
    }));
    await sendEvents(clientOf(large.url), heavy, { gzip: false });
    expect(large.received.map(({ body }) => body.length > 4_000_000)).toEqual([false, false]);
  });
});

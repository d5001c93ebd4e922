import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtimePids } from '../../bench/support/runtime.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

/** HTTP as clients send it over a socket, against the built worker. */
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

const STRUCTURED = 'application/cloudevents+json';
const AUTHORIZED = { authorization: `Bearer ${KEY}` };

function headOf(method: string, path: string, headers: Readonly<Record<string, string>>): string {
  const fields = Object.entries({ host: stack.url.host, ...AUTHORIZED, ...headers });
  return [`${method} ${path} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`), '', ''].join(
    '\r\n',
  );
}

/** Sends a text, and ends the connection without an end of the request. */
async function breakOff(text: string): Promise<void> {
  const socket = connect(Number(stack.url.port), stack.url.hostname);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.write(text, resolve));
  // The worker has to begin to read the body.
  await sleep(200);
  socket.destroy();
}

describe('an upload that the client breaks off', () => {
  const length = { 'content-length': '1000' };
  const event = { 'content-type': STRUCTURED, ...length };
  const chunked = { 'content-type': 'application/cloudevents-batch+json', 'transfer-encoding': 'chunked' };
  it.each<[string, string, string, Record<string, string>, string]>([
    ['an event', 'POST', '/v1/events', event, '{"specversion":'],
    ['an event with a key', 'POST', '/v1/events', { ...event, 'idempotency-key': 'cut' }, '{"specversion":'],
    ['events in chunks', 'POST', '/v1/events', chunked, '5\r\n[{"a"\r\n'],
    ['gzipped events', 'POST', '/v1/events', { ...event, 'content-encoding': 'gzip' }, '\u001f'],
    ['a row', 'PUT', '/v1/products/CUT', { ...length, 'content-type': 'application/json' }, '{"unitPrice":'],
    [
      'an artifact',
      'PUT',
      `/v1/admin/artifacts/${'a'.repeat(64)}`,
      { ...length, 'content-type': 'application/octet-stream' },
      'onnx',
    ],
  ])('%s: is no error in the log, and has no effect', async (_, method, path, headers, body) => {
    const before = stack.logs().length;
    await breakOff(`${headOf(method, path, headers)}${body}`);
    // What the request has begun ends before this answer, or is logged by then.
    expect((await stack.fetch('/health/live')).status).toBe(200);
    await sleep(300);
    const logged = stack.logs().slice(before);
    // A busy machine has clocks that answer late, which is no matter of the upload.
    const isOfClock = ({ message }: { message: string }) => message.includes('"event.action":"clock-sync"');
    expect(
      logged.filter((entry) => (entry.level === 'error' || entry.level === 'warn') && !isOfClock(entry)),
    ).toEqual([]);
  });
});

describe('a request that is too large', () => {
  const problemOf = async (path: string, headers: Record<string, string> = {}) => {
    const response = await stack.fetch(path, { headers: { ...AUTHORIZED, ...headers } });
    return [response.status, response.headers.get('content-type'), Object(await response.json()).code];
  };
  const PROBLEM = 'application/problem+json';

  it.each(['/v1/products', '/v1/products/x', '/v1/customers/x', '/v1/quality', '/openapi.json', '/none'])(
    '%s: the address is 414',
    async (path) => {
      expect(await problemOf(`${path}?x=${'a'.repeat(16_400)}`)).toEqual([414, PROBLEM, 'address_too_long']);
    },
  );

  it('has headers of more than 64 KB: 431', async () => {
    expect(await problemOf('/v1/quality', { padding: 'a'.repeat(65_500) })).toEqual([
      431,
      PROBLEM,
      'headers_too_large',
    ]);
    expect(
      (await stack.fetch('/v1/quality', { headers: { ...AUTHORIZED, padding: 'a'.repeat(60_000) } })).status,
    ).toBe(200);
  });
});

it('unpacks no more than the limit of a body that unpacks to 1.6 GB', async () => {
  const part = gzipSync(Buffer.alloc(16 * 1024 * 1024), { level: 9 });
  const [pid = 0] = runtimePids();
  const peakKb = () => Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  const before = peakKb();
  const response = await stack.fetch('/v1/events', {
    method: 'POST',
    headers: { ...AUTHORIZED, 'content-type': STRUCTURED, 'content-encoding': 'gzip' },
    body: Buffer.concat(Array.from({ length: 100 }, () => part)),
  });
  expect([response.status, Object(await response.json()).code]).toEqual([413, 'body_too_large']);
  expect(peakKb() - before).toBeLessThan(200 * 1024);
});

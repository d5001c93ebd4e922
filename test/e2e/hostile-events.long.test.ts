import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const STRUCTURED = 'application/cloudevents+json';
const BATCHED = 'application/cloudevents-batch+json';
const SOURCE = '/hostile';
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

const event = (id: string, over: object = {}) => ({
  specversion: '1.0',
  id,
  source: SOURCE,
  type: 'shop.purchase.v1',
  time: '2026-11-01T10:00:00Z',
  data: { invoice: '489434', sku: 'H1', quantity: 1, unitPrice: 2.55, customerId: 'h1', country: 'Norway' },
  ...over,
});
async function post(body: BodyInit, headers: Record<string, string> = {}) {
  const response = await stack.fetch('/v1/events', {
    method: 'POST',
    headers: { ...AUTHORIZED, 'content-type': STRUCTURED, ...headers },
    body,
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}
const stored = async (ids: readonly string[]) =>
  (await stack.sql('select id from millrace.events where source = $1 and id = any($2)', [SOURCE, [...ids]]))
    .length;
const quarantined = async () => {
  const response = await stack.fetch('/v1/admin/quarantine?limit=200', { headers: AUTHORIZED });
  return ((await response.json()) as { events: { id: number; eventId: string | null }[] }).events;
};

describe('events of any JSON', () => {
  it.each([
    ['asynchronously', {}],
    ['while the client waits', { prefer: 'wait' }],
  ])('are kept unchanged, and do not affect their neighbours, %s', async (name, headers) => {
    const raws = [
      null,
      5,
      'x',
      [],
      [null],
      {},
      event('x'.repeat(8_000)),
      event('1', { source: `/${'y'.repeat(8_000)}` }),
    ];
    const good = [`${name}-before`, `${name}-after`];
    const body = JSON.stringify([event(good[0] ?? ''), ...raws, event(good[1] ?? '')]);
    const answer = await post(body, { 'content-type': BATCHED, ...headers });
    expect(answer).toMatchObject({ status: 207, json: { accepted: 2, quarantined: raws.length } });
    await eventually(
      () => stored(good),
      (events) => events === 2,
    );
    const kept = await eventually(
      () => stack.sql(`select raw from millrace.quarantine where reason = 'invalid_event'`),
      (rows) => rows.length >= raws.length,
    );
    for (const raw of raws) expect(kept.map(({ raw: one }) => one)).toContainEqual(raw);
  });

  it('are answered with 422 when sent alone, and the quarantine lists each', async () => {
    expect(await post('null', { prefer: 'wait' })).toMatchObject({
      status: 422,
      json: { code: 'invalid_event' },
    });
    const [first] = await quarantined();
    const shown = await stack.fetch(`/v1/admin/quarantine/${first?.id}`, { headers: AUTHORIZED });
    expect(shown.status).toBe(200);
  });

  it('with a number that a double would change are kept with the number as it was sent', async () => {
    const body = JSON.stringify(event('inexact')).replace('"unitPrice":2.55', '"unitPrice":1e-400');
    expect(await post(body, { prefer: 'wait' })).toMatchObject({
      status: 422,
      json: { code: 'contract_violation', pointer: '/data/unitPrice' },
    });
    const kept = await stack.sql(`select raw from millrace.quarantine where event_id = 'inexact'`);
    expect(kept).toMatchObject([{ raw: { data: { unitPrice: '1e-400' } } }]);
  });
});

describe('a CloudEvent', () => {
  it('keeps its extension attributes, in every mode', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { data, ...attributes } = event('binary', { traceparent, dataschema: 'https://example.org/s' });
    const headers = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`ce-${name}`, String(value)]),
    );
    const wait = { prefer: 'wait' };
    const binary = await post(JSON.stringify(data), { ...headers, 'content-type': 'text/json', ...wait });
    expect(binary.status).toBe(201);
    expect((await post(JSON.stringify(event('structured', { traceparent })), wait)).status).toBe(201);
    for (const id of ['binary', 'structured']) {
      const status = await stack.fetch(`/v1/events/${encodeURIComponent(SOURCE)}/${id}`, {
        headers: AUTHORIZED,
      });
      expect(await status.json()).toMatchObject({ status: 'stored', extensions: { traceparent } });
    }
  });

  it('may have its data in base64, and come in gzip of several members', async () => {
    const { data, ...attributes } = event('base64');
    const body = JSON.stringify({ ...attributes, data_base64: btoa(JSON.stringify(data)) });
    const half = Math.floor(body.length / 2);
    const packed = Buffer.concat([gzipSync(body.slice(0, half)), gzipSync(body.slice(half))]);
    const answer = await post(new Uint8Array(packed), { 'content-encoding': 'x-gzip', prefer: 'wait' });
    expect(answer.status).toBe(201);
    expect(await stored(['base64'])).toBe(1);
  });
});

describe('a text that cannot be stored', () => {
  it.each([
    ['/v1/admin/quarantine/discard', '{"ids":[1],"reason":"a\\ud800"}', '/reason'],
    ['/v1/admin/quarantine/discard', '{"ids":[1],"reason":"a\\u0000"}', '/reason'],
    ['/v1/features/read', '{"entity":"customer","keys":["\\ud800"]}', '/keys/0'],
    ['/v1/predictions/ranker', '{"customerId":"\\ud800"}', '/customerId'],
    ['/v1/admin/cache/purge', '{"tags":["\\u0000"]}', '/tags/0'],
  ])('is refused by %s with its pointer', async (path, body, pointer) => {
    const response = await stack.fetch(path, {
      method: 'POST',
      headers: { ...AUTHORIZED, 'content-type': 'application/json' },
      body,
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_request', pointer });
  });

  it.each(['/v1/products/%zz', '/v1/products?after=%c3', '/v1/events/%ff/1'])(
    'is an address such as %s, which is not percent-encoded UTF-8',
    async (path) => {
      const response = await stack.fetch(path, { headers: AUTHORIZED });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ code: 'invalid_request' });
    },
  );
});

it('purges the entry that a client reads at the same address, or refuses both requests', async () => {
  const purge = async (path: string) => {
    const response = await stack.fetch('/v1/admin/cache/purge', {
      method: 'POST',
      headers: { ...AUTHORIZED, 'content-type': 'application/json' },
      body: JSON.stringify({ path }),
    });
    await response.text();
    return response.status;
  };
  for (const path of ['/v1/products?limit=3&limit=4', '/v1/products?limit=%zz', '/v1/products?unknown=1']) {
    const read = await stack.fetch(path);
    await read.text();
    expect([read.status, await purge(path)]).toEqual([400, 400]);
  }
  const path = '/v1/products?limit=%33';
  const status = async () => {
    const response = await stack.fetch(path, { headers: { 'millrace-consistency': 'strong' } });
    await response.text();
    return response.headers.get('cache-status') ?? '';
  };
  await status();
  await eventually(status, (shown) => shown.includes('; hit'));
  expect(await purge(path)).toBe(200);
  expect(await status()).not.toContain('; hit');
});

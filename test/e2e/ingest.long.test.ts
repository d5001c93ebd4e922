import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { CloudEvent, emitterFor, HTTP, type Message, Mode } from 'cloudevents';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const STRUCTURED = 'application/cloudevents+json';
const BATCHED = 'application/cloudevents-batch+json';
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

const line = (sku: string, over: object = {}) => ({
  invoice: '489434',
  sku,
  description: 'A heart',
  quantity: 6,
  unitPrice: 2.55,
  customerId: '17850',
  country: 'United Kingdom',
  ...over,
});
let made = 0;
const event = (data: object, over: object = {}) => {
  made += 1;
  const time = '2026-11-01T10:00:00Z';
  return {
    specversion: '1.0',
    id: `ingest-${made}`,
    source: '/ingest',
    type: 'shop.purchase.v1',
    time,
    data,
    ...over,
  };
};
async function send(body: BodyInit, headers: Record<string, string>) {
  const response = await stack.fetch('/v1/events', {
    method: 'POST',
    headers: { ...AUTHORIZED, ...headers },
    body,
  });
  return {
    status: response.status,
    json: (await response.json()) as Record<string, unknown>,
    token: response.headers.get('millrace-token') ?? '',
  };
}
const statusOf = (id: string, source = '/ingest') =>
  stack.caller.ask('GET', `/v1/events/${encodeURIComponent(source)}/${encodeURIComponent(id)}`);

describe('an event with Prefer: wait', () => {
  it('is answered 201 with a token from which every read shows it', async () => {
    const wait = { 'content-type': STRUCTURED, prefer: 'respond-async, wait=5' };
    const purchase = event(line('W1'));
    const sent = await send(JSON.stringify(purchase), wait);
    expect(sent).toMatchObject({ status: 201, json: { accepted: 1 } });
    const page = await stack.caller.ask('GET', '/v1/products/W1', { token: sent.token });
    expect(page.json).toMatchObject({ sold: { units: 6 } });
    const status = await statusOf(purchase.id);
    expect(status.json).toMatchObject({
      status: 'stored',
      type: 'shop.purchase.v1',
      invalidated: {
        tags: expect.arrayContaining(['purchase@customer:17850', 'purchase@product:W1', 'product:W1']),
        token: expect.stringMatching(/\.\d+$/),
      },
    });
    expect(await send(JSON.stringify(purchase), wait)).toMatchObject({
      status: 200,
      json: { duplicates: 1 },
    });
    const other = { ...purchase, data: line('W1', { quantity: 7 }) };
    expect(await send(JSON.stringify(other), wait)).toMatchObject({
      status: 409,
      json: { code: 'conflicting_duplicate' },
    });
  });

  it('has a verdict of its own in a batch', async () => {
    const events = [event(line('W2')), event(line('W2', { quantity: -1 })), event(line('W2'))];
    const [first] = events;
    const batch = [...events, first, { ...first, data: line('W2', { quantity: 9 }) }];
    const sent = await send(JSON.stringify(batch), { 'content-type': BATCHED, prefer: 'wait' });
    expect(sent).toMatchObject({ status: 207, json: { accepted: 2, duplicates: 1, quarantined: 2 } });
    expect(sent.json['verdicts']).toMatchObject([
      { index: 1, reason: 'quantity_not_positive' },
      { index: 3, verdict: 'duplicate' },
      { index: 4, reason: 'conflicting_duplicate' },
    ]);
    const bad = await statusOf(String(events[1]?.id));
    expect(bad.json).toMatchObject({ status: 'quarantined', reason: 'quantity_not_positive' });
  });
});

describe('the status of an event', () => {
  it('is available after the event has left the queue, and needs the key', async () => {
    const purchase = event(line('S1'), { source: 'https://shop.example/tills/1?a=b' });
    expect((await send(JSON.stringify(purchase), { 'content-type': STRUCTURED })).status).toBe(202);
    const { source, id } = purchase as unknown as { source: string; id: string };
    const seen = await eventually(
      () => statusOf(id, source),
      ({ json }) =>
        (json['invalidated'] as { at?: string } | undefined)?.at !== null && json['status'] === 'stored',
    );
    expect(seen.json).toMatchObject({ source, id, status: 'stored' });
    expect((await statusOf('never seen')).status).toBe(404);
    expect((await stack.fetch('/v1/events/a/b')).status).toBe(401);
  });
});

describe('the other content modes', () => {
  it('accepts binary mode, with percent-encoded attributes', async () => {
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      prefer: 'wait',
      'ce-specversion': '1.0',
      'ce-id': 'caf%C3%A9 %22quoted%22',
      'ce-source': '/binary',
      'ce-type': 'shop.purchase.v1',
      'ce-time': '2026-11-01T10:00:00Z',
      'ce-traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    };
    expect((await send(JSON.stringify(line('B1')), headers)).status).toBe(201);
    expect((await statusOf('café "quoted"', '/binary')).json).toMatchObject({ status: 'stored' });
    const wrong = await send(JSON.stringify(line('B1')), { ...headers, 'ce-id': '%E9' });
    expect(wrong).toMatchObject({ status: 422, json: { code: 'invalid_event', pointer: 'ce-id' } });
    // `fetch` sends these as ISO-8859-1: the runtime would make the same text of both.
    for (const id of ['é', 'è'])
      expect(await send(JSON.stringify(line('B1')), { ...headers, 'ce-id': id })).toMatchObject({
        status: 422,
        json: { code: 'invalid_event', pointer: 'ce-id' },
      });
  });

  it.each([
    ['text', 'text/plain', 'six hearts', { data: 'six hearts' }],
    ['bytes', 'image/png', new Uint8Array([137, 80, 255]), { data_base64: 'iVD/' }],
  ])('keeps binary mode with %s as it came, which no contract takes', async (id, type, body, kept) => {
    const headers = { prefer: 'wait', 'ce-specversion': '1.0', 'ce-source': '/binary', 'ce-type': 'x' };
    const sent = await send(body, { ...headers, 'ce-id': id, 'content-type': type });
    const refusal = { code: 'invalid_event', pointer: '/datacontenttype' };
    expect(sent).toMatchObject({ status: 422, json: refusal });
    const rows = await stack.sql('select raw from millrace.quarantine where event_id = $1', [id]);
    expect(rows).toMatchObject([{ raw: { source: '/binary', datacontenttype: type, ...kept } }]);
  });

  it('refuses a header that names no attribute, as structured mode does', async () => {
    const headers = {
      'content-type': 'application/json',
      prefer: 'wait',
      'ce-specversion': '1.0',
      'ce-id': 'misnamed',
      'ce-source': '/binary',
      'ce-type': 'shop.purchase.v1',
      'ce-my-name': 'x',
    };
    const sent = await send(JSON.stringify(line('B1')), headers);
    expect(sent).toMatchObject({ status: 422, json: { code: 'invalid_event', pointer: '/my-name' } });
  });

  it.each([Mode.BINARY, Mode.STRUCTURED])(
    'accepts events of the CloudEvents SDK in %s mode',
    async (mode) => {
      const transport = async ({ headers, body }: Message) => {
        const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
        return await send(String(body), { ...own, prefer: 'wait' });
      };
      const emit = emitterFor(transport, { binding: HTTP, mode });
      const { data, type } = event(line('SDK'));
      const emitted = new CloudEvent({
        source: `/sdk/${mode}`,
        type,
        data,
        subject: 'a till',
        tenant: 'extension',
      });
      expect(await emit(emitted)).toMatchObject({ status: 201, json: { accepted: 1 } });
      expect((await statusOf(emitted.id, `/sdk/${mode}`)).json).toMatchObject({
        status: 'stored',
        subject: 'a till',
      });
    },
  );

  it('accepts gzipped bodies up to the limit', async () => {
    const zipped = { 'content-type': BATCHED, 'content-encoding': 'gzip', prefer: 'wait' };
    const batch = JSON.stringify([event(line('G1')), event(line('G1'))]);
    expect(await send(gzipSync(batch), zipped)).toMatchObject({ status: 201, json: { accepted: 2 } });
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, 0x20));
    expect(bomb.length).toBeLessThan(1024 * 1024);
    expect(await send(bomb, zipped)).toMatchObject({ status: 413, json: { code: 'body_too_large' } });
    expect(await send(gzipSync(batch).subarray(0, 40), zipped)).toMatchObject({
      status: 400,
      json: { code: 'malformed_encoding' },
    });
    expect(await send(batch, { ...zipped, 'content-encoding': 'br' })).toMatchObject({
      status: 415,
      json: { code: 'unsupported_encoding' },
    });
  });
});

describe('requests that share a message or a transaction', () => {
  it.each([
    ['queued', {}, 202],
    ['stored', { prefer: 'wait' }, 201],
  ] as const)(
    'are all answered, and %s, although a third of them is cancelled',
    async (kind, headers, status) => {
      const source = `/cancelled/${kind}`;
      const answers = await Promise.all(
        Array.from({ length: 90 }, (_, index) => {
          const body = JSON.stringify(event(line('C1'), { id: String(index), source }));
          return post({ ...AUTHORIZED, 'content-type': STRUCTURED, ...headers }, body, index % 3 === 1);
        }),
      );
      expect(answers).toEqual(
        Array.from({ length: 90 }, (_, index) => (index % 3 === 1 ? 'cancelled' : status)),
      );
      const count =
        'select count(*)::int as stored from millrace.events where source = $1 and id::int % 3 <> 1';
      await eventually(
        () => stack.sql(count, [source]),
        ([row]) => row?.['stored'] === 60,
      );
    },
  );
});

/** Sends on a connection of its own; resets it once the request is sent, if it is to be cancelled. */
function post(headers: Record<string, string>, body: string, isCancelled: boolean) {
  const { promise, resolve, reject } = Promise.withResolvers<number | 'cancelled'>();
  const sent = request(
    new URL('/v1/events', stack.url),
    { method: 'POST', agent: false, headers },
    (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    },
  );
  sent.on('error', (error) => (isCancelled ? resolve('cancelled') : reject(error)));
  sent.on('finish', () => {
    if (!isCancelled) return;
    sent.socket?.resetAndDestroy();
    resolve('cancelled');
  });
  sent.end(body);
  return promise;
}

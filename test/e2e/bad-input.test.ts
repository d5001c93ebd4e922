import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const STRUCTURED = 'application/cloudevents+json';
const BATCHED = 'application/cloudevents-batch+json';
const SOURCE = '/bad-input';
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

const event = (id: string, data: object = {}, over: object = {}) => ({
  specversion: '1.0',
  id,
  source: SOURCE,
  type: 'shop.purchase.v1',
  time: '2026-11-01T10:00:00Z',
  data: {
    invoice: '489434',
    sku: 'BAD1',
    description: null,
    quantity: 1,
    unitPrice: 2.55,
    customerId: '17850',
    country: 'Norway',
    ...data,
  },
  ...over,
});
async function call(method: string, path: string, body?: string | Uint8Array<ArrayBuffer>, type?: string) {
  const response = await stack.fetch(path, {
    method,
    headers: { ...AUTHORIZED, 'content-type': type ?? 'application/json', prefer: 'wait' },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return { status: response.status, json: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
}
const post = (body: string | Uint8Array<ArrayBuffer>, type = STRUCTURED) =>
  call('POST', '/v1/events', body, type);

describe('a body that is not an event', () => {
  const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  it.each([
    ['broken UTF-8', new Uint8Array([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]), 400, 'malformed_json'],
    ['an overlong encoding', new Uint8Array([0x22, 0xc0, 0x80, 0x22]), 400, 'malformed_json'],
    ['JSON that is nested deeply', nested(100_000), 400, 'malformed_json'],
    ['JSON that is cut off', '{"specversion":"1.0"', 400, 'malformed_json'],
    ['more than 4 MB', `"${'x'.repeat(4 * 1024 * 1024)}"`, 413, 'body_too_large'],
    ['nothing', '', 400, 'malformed_json'],
  ])('%s is answered with its code', async (_, body, status, code) => {
    expect(await post(body)).toMatchObject({ status, json: { code } });
  });

  it('is a batch with too many events, or not a batch', async () => {
    const many = JSON.stringify(Array.from({ length: 1_001 }, () => 0));
    expect(await post(many, BATCHED)).toMatchObject({ status: 413, json: { code: 'too_many_events' } });
    expect(await post('{}', BATCHED)).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
  });
});

describe('an event that may not be stored', () => {
  it.each([
    ['future', event('future', {}, { time: '2099-01-01T00:00:00Z' }), 'quality_violation', '/time'],
    ['before 1970', event('old', {}, { time: '1969-12-31T23:59:59Z' }), 'invalid_event', '/time'],
    ['the year 0', event('year0', {}, { time: '0000-01-01T00:00:00Z' }), 'invalid_event', '/time'],
    ['no version', event('v0', {}, { type: 'shop.purchase' }), 'unknown_event_version', '/type'],
    ['version 99', event('v99', {}, { type: 'shop.purchase.v99' }), 'unknown_event_version', '/type'],
    ['__proto__ as type', event('proto', {}, { type: '__proto__' }), 'unknown_event_type', '/type'],
    ['a NUL', event('nul', { invoice: 'a\u0000b' }), 'contract_violation', '/data/invoice'],
    ['a NUL in a name', event('nuln', { x: { 'a\u0000b': 1 } }), 'contract_violation', '/data/x'],
    ['half a pair', event('half', { note: '\ud83d' }), 'contract_violation', '/data/note'],
    ['NUL as id', event('i\u0000d'), 'invalid_event', '/id'],
    ['70 KB', event('large', { note: 'x'.repeat(70_000) }), 'event_too_large', ''],
    ['SQL as number', event('sql', { quantity: '1); drop table events;--' }), 'contract_violation', ''],
  ])('%s: has a stable code and a pointer, and is kept', async (_, body, code, pointer) => {
    const answer = await post(JSON.stringify(body));
    expect(answer).toMatchObject({ status: 422, json: { code } });
    expect(String(answer.json['pointer'] ?? '')).toContain(pointer);
  });

  it('has a number that JSON can express and a double cannot', async () => {
    const body = JSON.stringify(event('huge-number', { note: 'HUGE' })).replace('"HUGE"', '1e400');
    expect(await post(body)).toMatchObject({
      status: 422,
      json: { code: 'contract_violation', pointer: '/data/note' },
    });
  });
});

it('does not stop the other 999 events of a batch', async () => {
  const nasty = [
    "'; drop table events; --",
    `$1 $$ \\ " ' {{7*7}} $\{7*7}`,
    '\u202e\u{1f600}\u0301 ﷽',
    '{"a":1}',
  ];
  const events = Array.from({ length: 1_000 }, (_, index) =>
    event(`thousand-${index}`, { sku: 'BAD2', note: nasty[index % nasty.length] }),
  );
  events[500] = event('thousand-500', { sku: 'BAD2', quantity: 0 });
  // As text, for an object literal would set the prototype.
  const body = JSON.stringify(events).replace(
    /"id":"thousand-7",.*?"data":\{/,
    (begin) => `${begin}"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},`,
  );
  const answer = await post(body, BATCHED);
  expect(answer).toMatchObject({ status: 207, json: { accepted: 999, quarantined: 1 } });
  expect(answer.json['verdicts']).toMatchObject([{ index: 500, reason: 'quantity_not_positive' }]);
  const stored = await stack.sql(`select id, data from millrace.events where id like 'thousand-%'`);
  expect(stored).toHaveLength(999);
  const byId = new Map(stored.map(({ id, data }) => [id, data]));
  for (const { id, data } of events)
    if (id !== 'thousand-500' && id !== 'thousand-7') expect(byId.get(id)).toEqual(data);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  expect(await stack.sql('select count(*)::int as lines from purchases where sku = $1', ['BAD2'])).toEqual([
    { lines: 999 },
  ]);
});

it('is a conflict if it has the id of another event, and a duplicate otherwise, through the queue too', async () => {
  const send = async (body: object) =>
    await stack.fetch('/v1/events', {
      method: 'POST',
      headers: { ...AUTHORIZED, 'content-type': STRUCTURED },
      body: JSON.stringify(body),
    });
  expect((await send(event('same', { sku: 'BAD3' }))).status).toBe(202);
  await eventually(
    () => call('GET', `/v1/events/${encodeURIComponent(SOURCE)}/same`),
    ({ status }) => status === 200,
  );
  expect((await send(event('same', { sku: 'BAD3' }))).status).toBe(202);
  expect((await send(event('same', { sku: 'BAD3', quantity: 2 }))).status).toBe(202);
  const kept = await eventually(
    () => call('GET', '/v1/admin/quarantine?reason=conflicting_duplicate'),
    ({ json }) => (json['events'] as unknown[]).length > 0,
  );
  expect(kept.json['events']).toMatchObject([{ eventId: 'same', source: SOURCE }]);
  expect(await stack.sql('select quantity from purchases where sku = $1', ['BAD3'])).toEqual([
    { quantity: 1 },
  ]);
});

describe('characters that Postgres cannot hold', () => {
  const NUL = '\u0000';
  it.each([
    ['PUT', '/v1/products/BAD4', { description: `a${NUL}b`, unitPrice: 1 }],
    ['PUT', '/v1/products/BAD4', { description: '\ud800', unitPrice: 1 }],
    ['PUT', '/v1/products/a%00b', { description: null, unitPrice: 1 }],
    ['PUT', '/v1/customers/BAD4', { country: `a${NUL}b` }],
    ['PUT', '/v1/customers/BAD4', { country: '\ud800' }],
    ['DELETE', '/v1/products/a%00b', undefined],
    ['GET', '/v1/products/a%00b', undefined],
    ['GET', '/v1/customers?country=%00', undefined],
    ['GET', '/v1/events/%00/a', undefined],
    ['GET', '/v1/events/a/%00', undefined],
    ['GET', '/v1/admin/quarantine?source=%00', undefined],
    ['GET', '/v1/admin/quarantine?type=%00&reason=%00', undefined],
    ['POST', '/v1/admin/quarantine/discard', { ids: [1], reason: `a${NUL}b` }],
    ['GET', '/v1/admin/pipeline?source=%00', undefined],
  ])('%s %s is an invalid request', async (method, path, body) => {
    const answer = await call(method, path, body === undefined ? undefined : JSON.stringify(body));
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
  });
});

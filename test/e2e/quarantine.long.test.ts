import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

interface Kept {
  id: number;
  eventId: string;
  reason: string;
  state: string;
  raw?: unknown;
}
const event = (id: string, over: object = {}) => ({
  specversion: '1.0',
  id,
  source: '/quarantine',
  type: 'shop.purchase.v1',
  time: '2026-11-01T10:00:00Z',
  data: {
    invoice: '489434',
    sku: 'Q1',
    description: 'A heart',
    quantity: 6,
    unitPrice: 2.55,
    customerId: '17850',
    country: 'United Kingdom',
    ...over,
  },
});
const call = (method: string, path: string, json?: unknown) => stack.caller.ask(method, path, { json });
const send = (events: object[]) => stack.caller.send(events, { wait: true });
const listed = async (query: string) =>
  (await call('GET', `/v1/admin/quarantine${query}`)).json as { events: Kept[]; next: number | null };
const audited = async (action: string) =>
  await stack.sql('select target, detail, outcome from millrace.audit_log where action = $1 order by id', [
    action,
  ]);

describe('the quarantine', () => {
  it('lists events by reason and page, and shows each as it was received', async () => {
    await send([
      ...['a', 'b', 'c'].map((id) => event(id, { quantity: -1 })),
      event('d', { unitPrice: 0 }),
      event('good'),
    ]);
    const all = await listed('?source=%2Fquarantine');
    expect(all.events.map(({ eventId }) => eventId)).toEqual(['d', 'c', 'b', 'a']);
    const page = await listed('?reason=quantity_not_positive&limit=2');
    expect(page.events.map(({ eventId }) => eventId)).toEqual(['c', 'b']);
    const next = await listed(`?reason=quantity_not_positive&limit=2&before=${page.next}`);
    expect(next).toMatchObject({ events: [{ eventId: 'a' }], next: null });
    const [last] = all.events;
    const shown = await call('GET', `/v1/admin/quarantine/${last?.id}`);
    expect(shown.json).toMatchObject({ reason: 'price_not_positive', raw: event('d', { unitPrice: 0 }) });
    expect((await call('GET', '/v1/admin/quarantine/999999')).status).toBe(404);
    expect((await listed('?limit=0')) as unknown).toMatchObject({
      code: 'invalid_request',
      pointer: '/limit',
    });
  });

  it('stores a corrected event, and refuses one that still breaks a rule', async () => {
    const [a] = (await listed('?reason=quantity_not_positive')).events.slice(-1);
    const again = await call('POST', '/v1/admin/quarantine/release', { ids: [a?.id, 999_999] });
    expect(again.json['results']).toMatchObject([
      { id: a?.id, outcome: 'refused', reason: 'quantity_not_positive' },
      { id: 999_999, outcome: 'not_found' },
    ]);
    const corrected = { id: a?.id, event: event('a', { sku: 'Q2', quantity: 4 }) };
    const released = await call('POST', '/v1/admin/quarantine/release', corrected);
    expect(released.json['results']).toEqual([{ id: a?.id, outcome: 'released' }]);
    const page = await stack.caller.ask('GET', '/v1/products/Q2', { token: released.token });
    expect(page.json).toMatchObject({ sold: { units: 4 } });
    const status = await call('GET', '/v1/events/%2Fquarantine/a');
    expect(status.json).toMatchObject({ status: 'stored' });
    const repeated = await call('POST', '/v1/admin/quarantine/release', corrected);
    expect(repeated.json['results']).toEqual([{ id: a?.id, outcome: 'closed' }]);
    const target = String(a?.id);
    expect(await audited('quarantine.release')).toMatchObject([
      { target: `${target},999999`, outcome: 'begun' },
      { target: `${target},999999`, outcome: 'done' },
      { target, outcome: 'begun' },
      { target, outcome: 'done' },
      { target, outcome: 'begun' },
      { target, outcome: 'done' },
    ]);
  });

  it('discards for good, and keeps the reason', async () => {
    const { events } = await listed('?reason=price_not_positive');
    const ids = events.map(({ id }) => id);
    const reason = 'The till was being tested.';
    expect((await call('POST', '/v1/admin/quarantine/discard', { ids, reason })).status).toBe(204);
    expect((await listed('?reason=price_not_positive')).events).toEqual([]);
    expect((await listed('?reason=price_not_positive&state=discarded')).events).toHaveLength(ids.length);
    const released = await call('POST', '/v1/admin/quarantine/release', { ids });
    expect(released.json['results']).toMatchObject([{ outcome: 'closed' }]);
    expect(await audited('quarantine.discard')).toMatchObject([{ detail: expect.anything() }]);
    expect((await call('POST', '/v1/admin/quarantine/discard', { ids })).status).toBe(400);
  });
});

describe('dead letters', () => {
  it('are listed separately, and can be sent to their queue again', async () => {
    const { specversion: _, ...accepted } = event('dead', { sku: 'Q3' });
    const message = { v: 1, receivedAt: Date.now(), accepted: [{ ...accepted, subject: null }], refused: [] };
    const [row] = await stack.sql(
      `insert into millrace.quarantine (fingerprint, reason, pointer, detail, raw)
       values ('f1', 'dead_letter', '', '', $1), ('f2', 'dead_letter', '', '', '{"v":9}') returning id`,
      [JSON.stringify(message)],
    );
    const letters = (await call('GET', '/v1/admin/dead-letters')).json['events'] as Kept[];
    expect(letters).toHaveLength(2);
    expect((await listed('')).events.every(({ reason }) => reason !== 'dead_letter')).toBe(true);
    const ids = letters.map(({ id }) => id).sort((a, b) => a - b);
    expect(ids[0]).toBe(Number(row?.['id']));
    const replayed = await call('POST', '/v1/admin/dead-letters/replay', { ids });
    expect(replayed.json['results']).toEqual([
      { id: ids[0], outcome: 'sent' },
      { id: ids[1], outcome: 'not_a_message' },
    ]);
    const seen = await eventually(
      () => call('GET', '/v1/events/%2Fquarantine/dead'),
      ({ status }) => status === 200,
    );
    expect(seen.json).toMatchObject({ status: 'stored' });
  });
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const BATCHES = 20;
const BATCH_EVENTS = 1_000;
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

function purchaseOf(id: string, customerId: string) {
  const data = {
    invoice: id,
    sku: `SKU${customerId}`,
    description: null,
    quantity: 1,
    unitPrice: 2.5,
    customerId,
  };
  const event = { specversion: '1.0', id, source: '/lane', type: 'shop.purchase.v1' };
  return { ...event, time: new Date().toISOString(), data: { ...data, country: 'Norway' } };
}

async function send(events: readonly unknown[], headers: Readonly<Record<string, string>> = {}) {
  return await stack.caller.ask('POST', '/v1/events', {
    contentType: 'application/cloudevents-batch+json',
    headers,
    body: JSON.stringify(events),
  });
}

async function count(text: string): Promise<number> {
  const [row] = await stack.sql(text);
  return Number(row?.['n']);
}
const storedBulk = () => count("select count(*) as n from millrace.events where id like 'bulk-%'");

async function units(customerId: string): Promise<unknown> {
  return await stack.caller.featuresOf('customer', customerId);
}

it('stores, invalidates and folds a live event before a bulk backlog, and then the whole backlog', async () => {
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const events = Array.from({ length: BATCH_EVENTS }, (_, n) =>
      purchaseOf(`bulk-${batch}-${n}`, String(20_000 + (n % 50))),
    );
    expect((await send(events, { 'millrace-lane': 'bulk' })).status).toBe(202);
  }
  const before = JSON.stringify(await units('17850'));
  expect((await send([purchaseOf('live-1', '17850')])).status).toBe(202);
  await eventually(
    () =>
      count(
        "select count(*) as n from millrace.events e join millrace.outbox o on o.event_seq = e.seq where e.id = 'live-1' and o.relayed_at is not null",
      ),
    (n) => n === 1,
  );
  await eventually(
    () => units('17850'),
    (answer) => JSON.stringify(answer).replace(/"asOf":\d+/, '') !== before.replace(/"asOf":\d+/, ''),
  );
  // The bulk events were sent first, and most of them are not stored yet.
  expect(await storedBulk()).toBeLessThan(BATCHES * BATCH_EVENTS);
  await eventually(storedBulk, (n) => n === BATCHES * BATCH_EVENTS, 120_000);
  await eventually(
    () => count('select count(*) as n from millrace.outbox where relayed_at is null'),
    (n) => n === 0,
    60_000,
  );
  // Both lanes mark their changes, and nothing was stored or announced twice.
  const lanes = await stack.sql(`select o.is_bulk, count(*)::int as n, count(distinct e.seq)::int as events
    from millrace.outbox o join millrace.events e on e.seq = o.event_seq group by 1 order by 1`);
  expect(lanes).toEqual([
    { is_bulk: false, n: 1, events: 1 },
    { is_bulk: true, n: BATCHES * BATCH_EVENTS, events: BATCHES * BATCH_EVENTS },
  ]);
}, 240_000);

it('recognises a duplicate across the lanes, and refuses an unknown lane', async () => {
  expect((await send([purchaseOf('bulk-0-0', '20000')])).status).toBe(202);
  const wanted = await send([purchaseOf('bulk-0-1', '20001')], { prefer: 'wait', 'millrace-lane': 'live' });
  expect(wanted.json).toMatchObject({ duplicates: 1 });
  // A request may wait for its bulk events; the token comes after their changes are relayed.
  const waits = await send([purchaseOf('waits', '1')], { prefer: 'wait', 'millrace-lane': 'bulk' });
  expect(waits.status).toBe(201);
  expect(waits.headers.get('millrace-token')).not.toBeNull();
  const [change] =
    await stack.sql(`select o.is_bulk, o.relayed_at is not null as relayed from millrace.outbox o
    join millrace.events e on e.seq = o.event_seq where e.id = 'waits'`);
  expect(change).toEqual({ is_bulk: true, relayed: true });
  const unknown = await send([purchaseOf('x', '1')], { 'millrace-lane': 'express' });
  expect(unknown.status).toBe(400);
  expect(unknown.json).toMatchObject({ code: 'invalid_request', pointer: 'Millrace-Lane' });
});

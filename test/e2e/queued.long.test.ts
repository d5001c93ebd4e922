import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

async function send(ids: readonly string[]) {
  const time = new Date().toISOString();
  const data = { invoice: '1', sku: 'QUEUED', quantity: 1, unitPrice: 1, country: 'France' };
  const events = ids.map((id) => ({
    specversion: '1.0',
    id,
    source: '/queued',
    type: 'shop.purchase.v1',
    time,
    data,
  }));
  const { accepted, token } = await stack.caller.send(events);
  expect([accepted, token]).toEqual([events.length, undefined]);
}
const statusOf = async (id: string) =>
  (await stack.caller.ask('GET', `/v1/events/%2Fqueued/${id}`)).json['status'];

it('reports an event as queued while the database is unavailable, and as stored afterwards', async () => {
  // To the consumer this is an outage, and the database still answers questions.
  await stack.sql(`create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'away' using errcode = '57P03'; end $$`);
  await stack.sql(
    'create trigger away before insert on millrace.events for each row execute function refuse()',
  );
  await send(['one', 'two']);
  expect(await statusOf('one')).toBe('queued');
  expect(await statusOf('two')).toBe('queued');
  expect(await statusOf('three')).toBe(404);
  await stack.sql('drop trigger away on millrace.events');
  await eventually(
    () => statusOf('one'),
    (status) => status === 'stored',
    30_000,
  );
});

it('has a status for every event as soon as its request is answered', async () => {
  const ids = Array.from({ length: 500 }, (_, n) => `burst-${n}`);
  await send(ids);
  const seen = await Promise.all(ids.slice(0, 50).map(statusOf));
  expect(seen.filter((status) => status !== 'queued' && status !== 'stored')).toEqual([]);
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const EVENTS = 600;
const CONNECTIONS = 50;
const SOURCE = '/single-events';
/** Fewer than with five messages a batch, which is 120 at least. Each one has as many messages as wait when it begins. */
const TRANSACTIONS_MAX = 119;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

async function post(id: string): Promise<number> {
  const answer = await stack.caller.ask('POST', '/v1/events', {
    contentType: 'application/cloudevents+json',
    json: {
      ...{ specversion: '1.0', id, source: SOURCE, type: 'shop.purchase.v1', time: '2026-11-01T10:00:00Z' },
      data: { invoice: id, sku: `S${id}`, quantity: 1, unitPrice: 2.55, customerId: 's1', country: 'Norway' },
    },
  });
  return answer.status;
}

it('stores the events of six hundred requests in transactions of many messages', async () => {
  const ids = Array.from({ length: EVENTS }, (_, at) => String(at));
  const statuses: number[] = [];
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) statuses.push(await post(id));
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([202]));
  const [counted] = await eventually(
    () =>
      stack.sql(
        'select count(*)::int as stored, count(distinct batch)::int as transactions from millrace.events where source = $1',
        [SOURCE],
      ),
    ([row]) => row?.['stored'] === EVENTS,
  );
  expect(counted?.['transactions']).toBeLessThanOrEqual(TRANSACTIONS_MAX);
});

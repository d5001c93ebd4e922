import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, KEY, type Stack, startStack } from '../../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

async function post(path: string, body: unknown) {
  const answer = await stack.fetch(path, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

const time = new Date(Date.now() - 86_400_000).toISOString().slice(0, 19);
const df = {
  customerId: ['P1', 'P1'],
  invoice: ['1', '1'],
  sku: ['A', 'B'],
  description: ['a', 'b'],
  quantity: [1, 2],
  unitPrice: [1.5, 2],
  country: ['UK', 'UK'],
  event_timestamp: [time, time],
};

it('stores the rows that are pushed to Feast’s route as events, and refused ones in quarantine', async () => {
  const push = { push_source_name: 'shop.purchase.v1', to: 'online_and_offline', df };
  expect(await post('/push', push)).toMatchObject({ status: 200, json: { accepted: 2, quarantined: 0 } });
  const read = { features: ['customer:purchases_30d'], entities: { customer_id: ['P1'] } };
  const results = async () => (await post('/get-online-features', read)).json['results'];
  const first = await eventually(results, (found) => JSON.stringify(found).includes('[2]'));
  expect(first).toMatchObject([{ values: ['P1'] }, { values: [2], event_timestamps: [`${time}Z`] }]);

  const bad = await post('/push', { ...push, df: { ...df, sku: ['A', 7] } });
  expect(bad).toMatchObject({ status: 422, json: { code: 'contract_violation', pointer: '/data/sku' } });
  const quarantined = await eventually(
    () => stack.sql("select raw->'data'->>'invoice' as invoice from millrace.quarantine"),
    (rows) => rows.length > 0,
  );
  expect(quarantined).toEqual([{ invoice: '1' }]);
  // The first row was pushed before, so it counts once.
  const stored = await stack.sql('select source, count(*)::int as n from millrace.events group by source');
  expect(stored).toEqual([{ source: '/feast/push/shop.purchase.v1', n: 2 }]);
});

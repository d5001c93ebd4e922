import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const PURCHASES = 5_000;
const CUSTOMERS = 10;

let stack: Stack;
beforeAll(async () => {
  // A history that no shard has folded: the database was there before the worker's features.
  stack = await startStack(
    {},
    {
      existing: [
        `insert into millrace.events (source, id, type, occurred_at, data, batch)
         select '/old', n::text, 'shop.purchase.v1', now() - n * interval '1 second',
           jsonb_build_object('invoice', n::text, 'sku', 'S' || n % 7, 'quantity', 1, 'unitPrice', 1.5,
             'customerId', 'c' || n % ${CUSTOMERS}, 'country', 'UK'), gen_random_uuid()
         from generate_series(1, ${PURCHASES}) n`,
      ],
    },
  );
});
afterAll(() => stack[Symbol.asyncDispose]());

interface Value {
  readonly value: number | null;
  readonly status: string;
}

async function purchases(): Promise<Value[]> {
  const keys = Array.from({ length: CUSTOMERS }, (_, n) => `c${n}`);
  const read = { entity: 'customer', keys, features: ['purchases_30d'] };
  const { text } = await stack.caller.ask('POST', '/v1/features/read', { json: read });
  const { results } = JSON.parse(text) as { results: { features: { purchases_30d: Value } }[] };
  return results.map(({ features }) => features.purchases_30d);
}

it('builds the first features of an entity from its history, and never shows a part of it', async () => {
  const seen = new Set<string>();
  await eventually(
    async () => {
      const values = await purchases();
      for (const { value, status } of values) seen.add(`${status} ${value}`);
      return values;
    },
    (values) => values.every(({ status }) => status === 'PRESENT'),
    60_000,
  );
  // Every read before the last one was `NOT_READY`, or whole.
  const whole = `PRESENT ${PURCHASES / CUSTOMERS}`;
  expect([...seen].filter((one) => one !== 'NOT_READY null')).toEqual([whole]);
  const states = await eventually(
    () => stack.sql('select distinct state from millrace.feature_versions'),
    (rows) => rows.every(({ state }) => state === 'ready'),
  );
  expect(states).toEqual([{ state: 'ready' }]);
  const [replay] = await stack.sql("select state, replayed from millrace.replays where id = 'backfill'");
  expect(replay).toEqual({ state: 'done', replayed: String(PURCHASES) });
});

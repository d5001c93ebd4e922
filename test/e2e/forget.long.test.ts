import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import {
  bought,
  digest,
  historyOf,
  makeDataset,
  objects,
  places,
  rebuiltDigest,
} from '../support/forget/customer.ts';
import { startCli } from '../support/node/cli.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

/** A key that no other text contains. */
const VICTIM = 'forget-me-4711';
const OTHERS = ['c0', 'c1', 'c2', 'c3'];
const DAYS = 60;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({}, { existing: historyOf([VICTIM, ...OTHERS], DAYS) });
}, 240_000);
afterAll(() => stack[Symbol.asyncDispose]());

const Page = z.object({
  state: z.string(),
  total: z.int(),
  found: z.looseObject({ events: z.record(z.string(), z.int()), datasets: z.array(z.string()) }),
  models: z.array(z.object({ model: z.string(), version: z.string() })),
  others: z.boolean(),
});
const Trained = z.object({ model: z.string(), refused: z.string().nullable() });
const Erased = z.object({ erased: Page, left: Page, trained: z.array(Trained) });

async function forget(...flags: string[]) {
  const { ended } = startCli(stack.url.href, 'forget', 'customer', VICTIM, '--json', ...flags);
  const { text, code } = await ended;
  const from = text.search(/^\{/m);
  return {
    code,
    text,
    json: from < 0 ? undefined : (JSON.parse(text.slice(from, text.lastIndexOf('}') + 1)) as unknown),
  };
}

async function featuresOf(entity: string, key: string) {
  const read = await stack.caller.featuresOf(entity, key);
  return Object.fromEntries(Object.entries(read).map(([name, { value }]) => [name, value]));
}

/** A file of the log of served predictions, as the worker writes it. */
const SERVED = 'served/2026-11-01/120000000-a.jsonl';
const servedLine = (key: string) =>
  `${JSON.stringify({ format: 1, entity: 'customer', key, items: [['S1', 1]], input: null })}\n`;

let datasetId = '';

it('lists the data of a customer in every place, and removes nothing', async () => {
  await eventually(
    () => featuresOf('customer', VICTIM),
    ({ purchases_365d: count }) => count === DAYS,
    60_000,
  );
  const events = [bought('v1', VICTIM), bought('bad', VICTIM, { quantity: 0 }), bought('o1', 'c0')];
  expect(await stack.caller.send(events, { wait: true })).toMatchObject({ accepted: 2, quarantined: 1 });
  await stack.sql(
    `insert into millrace.lineage_predictions (id, at, model, version, entity, key, features, items, source) values
     (gen_random_uuid(), now(), 'expected-spend', '0000000000aa', 'customer', '${VICTIM}', '{}', 1, 'model'),
     (gen_random_uuid(), now(), 'ranker', '0000000000bb', 'product', 'S1', '{"buyers": ["${VICTIM}"]}', 1, 'model')`,
  );
  datasetId = await makeDataset(stack);
  await (await stack.bucket()).put(SERVED, ['c0', VICTIM, 'c1'].map(servedLine).join(''));
  const before = await places(stack, VICTIM);
  expect(Object.keys(before).sort()).toEqual([
    ...['millrace.events', 'millrace.lineage_predictions', 'millrace.outbox', 'millrace.quarantine'],
    ...['public.customers', 'public.purchases'],
  ]);
  const listed = await forget();
  expect(listed.code).toBe(0);
  expect(listed.json).toMatchObject({
    state: 'done',
    others: true,
    models: [{ model: 'expected-spend', version: '0000000000aa' }],
    found: {
      events: { 'shop.purchase.v1': DAYS + 1 },
      rows: { purchases: DAYS + 1 },
      ...{ entityRow: 1, quarantine: 1, predictions: 1, mentions: 1, served: 1, datasets: [datasetId] },
    },
  });
  expect(Page.parse(listed.json).found['features']).toBeGreaterThan(0);
  expect(await places(stack, VICTIM)).toEqual(before);
});

it('removes them, and leaves the data of others as they are', async () => {
  const path = `/v1/customers/${VICTIM}`;
  expect((await stack.caller.ask('GET', path)).status).toBe(200);
  // All but a window that the end of a day moves.
  const ofOther = async () => ({ ...(await featuresOf('customer', 'c0')), purchases_30d: null });
  const other = await ofOther();
  const [{ n: rows } = { n: 0 }] = await stack.sql(
    "select count(*) as n from purchases where customer_id = 'c0'",
  );
  const { units_30d: units } = await featuresOf('product', 'S1');

  const { code, json, text } = await forget('--yes', '--retrain');
  expect(code, text).toBe(0);
  const { erased, left, trained } = Erased.parse(json);
  expect(erased.found.events).toEqual({ 'shop.purchase.v1': DAYS + 1 });
  expect(left).toMatchObject({ total: 0, others: false });
  // The fixture declares no recipe for it.
  expect(trained).toEqual([{ model: 'expected-spend', refused: expect.any(String) }]);

  // No place has the key any more: no table of the database, the audit log and the outbox included.
  expect(await places(stack, VICTIM)).toEqual({});
  // Nor has an object in R2; what is said of others in the same file stays.
  expect(await objects(stack, VICTIM)).toEqual([]);
  const served = await (await (await stack.bucket()).get(SERVED))?.text();
  expect(served).toBe(['c0', 'c1'].map(servedLine).join(''));
  expect((await stack.caller.ask('GET', path, { consistency: 'strong' })).status).toBe(404);
  expect((await stack.caller.ask('GET', `/v1/admin/datasets/${datasetId}`)).status).toBe(404);
  const features = await featuresOf('customer', VICTIM);
  expect(features).toMatchObject({ purchases_365d: 0, last_purchase_at: null });

  // The other customer has everything, and the product lacks what the erased one bought.
  expect(await ofOther()).toEqual(other);
  expect(await stack.sql("select count(*) as n from purchases where customer_id = 'c0'")).toEqual([
    { n: rows },
  ]);
  const counted = async () => {
    const { units_30d: served } = await featuresOf('product', 'S1');
    const [{ sum } = { sum: 0 }] = await stack.sql(
      `select sum(quantity) as sum from purchases
       where sku = 'S1' and occurred_at >= date_trunc('day', now() at time zone 'utc') - interval '29 days'`,
    );
    return { served, sum: Number(sum) };
  };
  // A day may end between the two reads.
  const { served: without } = await eventually(counted, ({ served: of, sum }) => of === sum);
  expect(Number(without)).toBeLessThan(Number(units));
  const digestServed = await digest(stack);
  expect(await rebuiltDigest(stack)).toBe(digestServed);
});

it('does not take an erased event again, and takes a new one', async () => {
  expect(await stack.caller.send([bought('v1', VICTIM)], { wait: true })).toMatchObject({ duplicates: 1 });
  expect(await places(stack, VICTIM)).toEqual({});
  expect(await featuresOf('customer', VICTIM)).toMatchObject({ purchases_365d: 0 });
  expect(await stack.caller.send([bought('v2', VICTIM)], { wait: true })).toMatchObject({ accepted: 1 });
  // A read without the token of the event may be older by the bound.
  await eventually(
    () => featuresOf('customer', VICTIM),
    ({ purchases_365d: count }) => count === 1,
  );
});

it('finds what an erasure has left out, and says so by its exit code', async () => {
  const { code, text } = await forget('--verify');
  expect(code).toBe(1);
  expect(text).toContain('"shop.purchase.v1": 1');
});

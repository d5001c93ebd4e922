import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../../../../test/support/node/stack.ts';
import { LineIdentity, toCloudEvent } from '../../import/event.ts';
import { generateLines, SEED_SOURCE } from '../../seed/generator.ts';
import { SHOP } from '../served.ts';
import { csvOf } from '../unit/import-fixtures.ts';
import { importInto } from './import-run.ts';

const LINES = [...generateLines({ seed: 1, lines: 800, customers: 60, products: 40, until: new Date() })];
const MADE_UP = LINES.find(({ customerId, sku }) => customerId !== null && /\d{5}/.test(sku));

let stack: Stack;
let directory: string;
beforeAll(async () => {
  stack = await startStack({}, { served: SHOP, capture: true });
  directory = await mkdtemp(join(tmpdir(), 'millrace-made-up-'));
  await writeFile(join(directory, 'real.csv'), csvOf(300));
  const identity = new LineIdentity();
  const events = LINES.map((line) => toCloudEvent(line, { source: SEED_SOURCE, id: identity.idOf(line) }));
  expect((await stack.caller.send(events, { wait: true })).token).toBeDefined();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function read(path: string): Promise<{ status: number; text: string }> {
  const { status, text } = await stack.caller.ask('GET', path);
  return { status, text };
}

async function features(customer: string | null | undefined): Promise<unknown> {
  const json = { entity: 'customer', keys: [customer], features: ['last_purchase_at'] };
  const { text } = await stack.caller.ask('POST', '/v1/features/read', { json });
  // The age of a value grows between two reads.
  return (JSON.parse(text.replaceAll(/,"ageMs":\d+/g, '')) as { results: unknown }).results;
}

async function left() {
  const [row] = await stack.sql(`select
    (select count(*) from millrace.events where source = '/seed')::int as events,
    (select count(*) from millrace.quarantine where source = '/seed')::int as quarantined,
    (select count(*) from purchases where starts_with(sku, 'demo-'))::int as purchases,
    (select count(*) from returns where starts_with(sku, 'demo-'))::int as returns,
    (select count(*) from products where starts_with(sku, 'demo-'))::int as products,
    (select count(*) from customers where starts_with(id, 'demo-'))::int as customers`);
  return row;
}

const notices: string[] = [];
const reporter = { progress: () => {}, notice: (text: string) => notices.push(text), finish: () => {} };

it('is reported before an import, and kept unless its removal is requested', async () => {
  const { kind } = await importInto(stack, directory, 'real.csv', { reporter });
  expect(kind).toBe('complete');
  expect(notices.join()).toMatch(/holds the made-up shop \(\d+ events\).*--made-up remove removes it first/);
  const questions: string[] = [];
  const confirm = async (question: string) => questions.push(question) < 0;
  await importInto(stack, directory, 'real.csv', { confirm });
  expect(questions.join()).toMatch(/Remove it first\?$/);
  expect(await left()).toMatchObject({ products: expect.toSatisfy((count: number) => count > 20) });
});

it('is removed on request, from cached answers and features too', async () => {
  const product = `/v1/products/${MADE_UP?.sku}`;
  const realProduct = '/v1/products/20000';
  const [before, realBefore, realFeatures] = [
    await read(product),
    await read(realProduct),
    await features('13085'),
  ];
  expect(before.status).toBe(200);
  expect((await read('/v1/customers?country=United%20Kingdom')).text).toContain('demo-');
  expect(JSON.stringify(await features(MADE_UP?.customerId))).toContain('PRESENT');

  const database = () => ({
    query: (text: string, params: readonly unknown[]) => stack.sql(text, [...params]),
    transaction: async (statements: readonly { text: string; params: readonly unknown[] }[]) => {
      for (const { text, params } of statements) await stack.sql(text, [...params]);
    },
  });
  await importInto(stack, directory, 'real.csv', { madeUp: 'remove', database });

  expect(await left()).toEqual({
    ...{ events: 0, quarantined: 0, purchases: 0, returns: 0, products: 0, customers: 0 },
  });
  await eventually(
    () => read(product),
    ({ status }) => status === 404,
  );
  await eventually(
    () => read('/v1/customers?country=United%20Kingdom'),
    ({ text }) => !text.includes('demo-'),
  );
  await eventually(
    () => features(MADE_UP?.customerId),
    (answer) => !JSON.stringify(answer).includes('PRESENT'),
  );
  expect(await read(realProduct)).toEqual(realBefore);
  expect(await features('13085')).toEqual(realFeatures);
});

it('is not removed if the database is not the one of the server', async () => {
  const elsewhere = () => ({ query: async () => [{ id: 'another' }], transaction: async () => {} });
  const event = toCloudEvent(LINES[0] ?? expect.fail(), { source: SEED_SOURCE, id: 'again' });
  await stack.caller.send([event], { wait: true });
  const removing = { madeUp: 'remove' } as const;
  await expect(
    importInto(stack, directory, 'real.csv', { ...removing, database: elsewhere }),
  ).rejects.toThrow(/is not the one that the server uses/);
  await expect(importInto(stack, directory, 'real.csv', removing)).rejects.toThrow(/set DATABASE_URL/);
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

const get = (path: string) => stack.caller.ask('GET', path, { consistency: 'strong' });

/** Times that Postgres holds and a `Date` does not, newest first. */
const TIMES = [
  'infinity',
  '12026-05-06 07:08:09+00',
  '2026-11-01 10:00:00.123456+00',
  '2026-11-01 10:00:00.123455+00',
  '0099-01-01 00:00:00+00',
  '0044-03-15 12:00:00+00 BC',
  '-infinity',
];

it('shows every time that a table may hold, and pages over all of them once', async () => {
  await stack.sql(`insert into customers (id, country) values ('far', 'Norway')`);
  for (const [index, time] of TIMES.entries())
    await stack.sql(
      `insert into purchases (event_seq, invoice, sku, customer_id, quantity, unit_price, country, occurred_at)
       values ($1, $2, 'F1', 'far', 1, 1, 'Norway', $3::timestamptz)`,
      [9_000_000 + index, `I${index}`, time],
    );
  expect((await get('/v1/customers/far')).json).toMatchObject({
    purchases: { lines: 7, lastAt: 'infinity' },
  });
  const seen: unknown[] = [];
  for (let before = ''; ; ) {
    const page = await get(`/v1/customers/far/purchases?limit=2${before}`);
    expect(page.status).toBe(200);
    seen.push(...(page.json['purchases'] as { invoice: string }[]).map(({ invoice }) => invoice));
    if (page.json['next'] === null) break;
    before = `&before=${String(page.json['next'])}`;
  }
  expect(seen).toEqual(TIMES.map((_, index) => `I${index}`));
});

it('refuses a cursor that no page has returned', async () => {
  for (const cursor of ['253402300800000-1', 'x', '%00', 'MSwx'])
    expect(await get(`/v1/customers/far/purchases?before=${cursor}`)).toMatchObject({
      status: 400,
      json: { code: 'invalid_cursor', pointer: 'before' },
    });
});

it('lists rows whose keys no client can write, and invalidates their pages', async () => {
  const skus = ['a/b', `long-${'x'.repeat(40)}`, 'blank ', '..'];
  for (const sku of skus)
    await stack.sql('insert into products (sku, description, unit_price) values ($1, null, 1)', [sku]);
  const page = async () =>
    ((await get('/v1/products?limit=100')).json['products'] as { sku: string; unitPrice: number }[]).filter(
      ({ sku }) => skus.includes(sku),
    );
  expect((await page()).map(({ sku }) => sku).sort()).toEqual(skus.toSorted());
});

it('answers 500 for a value that JSON cannot express, and never 503 or an older answer', async () => {
  await stack.sql(`insert into products (sku, description, unit_price) values ('NAN', null, 1)`);
  expect((await get('/v1/products/NAN')).status).toBe(200);
  await stack.sql(`update products set unit_price = 'NaN' where sku = 'NAN'`);
  await stack.caller.ask('POST', '/v1/admin/cache/purge', {
    json: { path: '/v1/products/NAN' },
  });
  const after = await get('/v1/products/NAN');
  expect(after).toMatchObject({ status: 500, json: { code: 'internal' } });
});

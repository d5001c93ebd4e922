import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answered } from '../support/node/caller.ts';
import { Reads } from '../support/node/reads.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

/** Another writer changes tables by plain SQL and announces nothing; readers read at the default level. */

const FRESH_WITHIN_MS = 2_000;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({}, { capture: true });
});
afterAll(() => stack[Symbol.asyncDispose]());

const reads = new Reads(() => stack);
const { get, cached } = reads;
const fresh = (path: string, isNew: (answer: Answered) => boolean) =>
  reads.fresh(path, isNew, FRESH_WITHIN_MS);

const skusOf = ({ json }: Answered) => (json['products'] as { sku: string }[]).map(({ sku }) => sku);

describe('a change of another writer by SQL is visible within two seconds', () => {
  it('where a row is inserted: its page, which was a 404, and the list that it enters', async () => {
    expect((await cached('/v1/products/SQL-1')).status).toBe(404);
    await cached('/v1/products?limit=5');
    await stack.sql(`insert into products (sku, description, unit_price) values ('SQL-1', 'One', 1.5)`);
    const [page] = await Promise.all([
      fresh('/v1/products/SQL-1', ({ status }) => status === 200),
      fresh('/v1/products?limit=5', (answer) => skusOf(answer).includes('SQL-1')),
    ]);
    expect(page.json).toMatchObject({ description: 'One', unitPrice: 1.5 });
  });

  it('where a row is updated: its page and its list', async () => {
    await cached('/v1/products/SQL-1');
    await cached('/v1/products?limit=5');
    await stack.sql(`update products set description = 'Two' where sku = 'SQL-1'`);
    await Promise.all([
      fresh('/v1/products/SQL-1', ({ json }) => json['description'] === 'Two'),
      fresh('/v1/products?limit=5', ({ json }) => JSON.stringify(json).includes('"Two"')),
    ]);
  });

  it('where an owner gets a row of a history', async () => {
    await stack.sql(`insert into customers (id, country) values ('sql-c', 'Spain')`);
    const path = '/v1/customers/sql-c/purchases';
    await eventually(
      () => get(path),
      ({ status, cache }) => status === 200 && cache.includes('; hit'),
    );
    await stack.sql(
      `insert into purchases (event_seq, invoice, sku, customer_id, quantity, unit_price, country, occurred_at)
       values (9000000, 'SQL-INVOICE', 'SQL-1', 'sql-c', 3, 1.5, 'Spain', '2026-01-01T00:00:00Z')`,
    );
    await fresh(path, ({ json }) => JSON.stringify(json).includes('SQL-INVOICE'));
  });

  it('where a row is deleted: its page, which becomes a 404, and its list', async () => {
    await cached('/v1/products/SQL-1');
    await cached('/v1/products?limit=5');
    await stack.sql(`delete from products where sku = 'SQL-1'`);
    await Promise.all([
      fresh('/v1/products/SQL-1', ({ status }) => status === 404),
      fresh('/v1/products?limit=5', (answer) => !skusOf(answer).includes('SQL-1')),
    ]);
  });

  it('where a table is truncated', async () => {
    await stack.sql(`insert into products (sku, unit_price) values ('SQL-2', 1)`);
    await eventually(
      () => get('/v1/products/SQL-2'),
      ({ status, cache }) => status === 200 && cache.includes('; hit'),
    );
    await stack.sql('truncate products');
    await fresh('/v1/products/SQL-2', ({ status }) => status === 404);
  });

  it('and nothing else is invalidated', async () => {
    await stack.sql(`insert into products (sku, unit_price) values ('SQL-3', 1), ('SQL-4', 1)`);
    await eventually(
      () => get('/v1/products/SQL-3'),
      ({ status, cache }) => status === 200 && cache.includes('; hit'),
    );
    // The truncation before voids everything, and could still be on its way.
    await eventually(
      () => stack.sql('select count(*)::int as n from millrace.outbox where relayed_at is null'),
      ([row]) => row?.['n'] === 0,
    );
    // The isolate's copy of the clock may be older than the truncation; a strong read brings it up to date.
    const read = await stack.caller.ask('GET', '/v1/customers/sql-c', { consistency: 'strong' });
    expect(read.status).toBe(200);
    await cached('/v1/customers/sql-c');
    await stack.sql(`update products set description = 'Three' where sku = 'SQL-3'`);
    await fresh('/v1/products/SQL-3', ({ json }) => json['description'] === 'Three');
    expect((await get('/v1/customers/sql-c')).cache).toContain('; hit');
  });
});

it("the API's own writes and events have their outbox rows once", async () => {
  const count = async () =>
    Number((await stack.sql('select count(*)::int as n from millrace.outbox'))[0]?.['n']);
  const before = await count();
  const json = { description: 'Own', unitPrice: 2 };
  expect((await stack.caller.ask('PUT', '/v1/products/OWN', { json })).status).toBe(201);
  expect(await count()).toBe(before + 1);
  expect((await stack.caller.ask('DELETE', '/v1/products/OWN')).status).toBe(204);
  expect(await count()).toBe(before + 2);
});

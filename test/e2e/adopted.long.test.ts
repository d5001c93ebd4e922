import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalog } from '../support/adopted/catalog.ts';
import { Reads } from '../support/node/reads.ts';
import { type Stack, startStack } from '../support/node/stack.ts';

/** What the database has before Millrace comes, with a role of the other application that may write its table alone. */
const THEIRS = [
  'create schema crm',
  'create table crm.customers (id text primary key, country text not null, secret bytea)',
  `insert into crm.customers (id, country) values ('c1', 'DE'), ('c2', 'FR')`,
  'create role app',
  'grant usage on schema crm to app',
  'grant select, insert, update, delete on crm.customers to app',
];

let stack: Stack;
beforeAll(async () => {
  const served = {
    catalog,
    main: 'test/support/adopted/index.ts',
    // The catalog has no migrations: its only table is another application's.
    migrationsDir: 'test/support/adopted/migrations',
    cachedPath: '/v1/customers/none',
  };
  stack = await startStack({}, { served, capture: true, existing: THEIRS });
});
afterAll(() => stack[Symbol.asyncDispose]());

const { get, cached, fresh } = new Reads(() => stack);
/** What the other application does, with its own rights. */
const theirs = (statement: string) => stack.sql(`do $$ begin set local role app; ${statement}; end $$`);

describe('a table of another application', () => {
  it('is served with the rows that it had', async () => {
    expect((await get('/v1/customers/c1')).json).toEqual({ id: 'c1', country: 'DE' });
    expect((await get('/v1/customers?country=FR')).json).toEqual({
      customers: [{ id: 'c2', country: 'FR' }],
    });
  });

  it('invalidates only answers that depend on a row that its application updates', async () => {
    for (const path of ['/v1/customers/c1', '/v1/customers/c2', '/v1/customers?country=AT'])
      await cached(path);
    await theirs(`update crm.customers set country = 'AT' where id = 'c1'`);
    await fresh('/v1/customers/c1', ({ json }) => json['country'] === 'AT');
    await fresh('/v1/customers?country=AT', ({ json }) => JSON.stringify(json).includes('c1'));
    expect((await get('/v1/customers/c2')).cache).toContain('; hit');
  });

  it('shows inserts where there was a 404, and deletes', async () => {
    expect((await cached('/v1/customers/c3')).status).toBe(404);
    await theirs(`insert into crm.customers (id, country) values ('c3', 'IT')`);
    await fresh('/v1/customers/c3', ({ status }) => status === 200);
    await cached('/v1/customers/c3');
    await theirs(`delete from crm.customers where id = 'c3'`);
    await fresh('/v1/customers/c3', ({ status }) => status === 404);
  });

  it('is closed to that application beyond its own table', async () => {
    await expect(theirs('delete from millrace.outbox')).rejects.toThrow(/permission denied/);
  });

  it('keeps its columns, its owner and its rights; only triggers are added', async () => {
    const [columns] = await stack.sql(
      `select string_agg(column_name, ',' order by ordinal_position) as names from information_schema.columns
       where table_schema = 'crm' and table_name = 'customers'`,
    );
    expect(columns).toEqual({ names: 'id,country,secret' });
    const triggers = await stack.sql(
      `select tgname from pg_trigger where tgrelid = 'crm.customers'::regclass and not tgisinternal`,
    );
    expect(triggers.length).toBeGreaterThan(0);
    expect(triggers.every(({ tgname }) => String(tgname).startsWith('millrace'))).toBe(true);
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import {
  bigint,
  integer,
  numeric,
  pgEnum,
  pgSchema,
  pgTable,
  text,
  timestamp,
  varchar,
} from 'drizzle-orm/pg-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { assertCapturable, assertDeclared, type Query } from '../../../scripts/dev/database/declared.ts';
import { ADOPTED_TABLES, CATALOG_TABLES } from '../../../scripts/dev/database/folders.ts';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { entity, history } from '../../../src/define/entity.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { deleteEntity, putEntity } from '../../../src/storage/postgres/entity-writes.ts';
import { readPending } from '../../../src/storage/postgres/outbox.ts';

/** What the database has before Millrace comes: another application's, in a schema of its own and in `public`. */
const THEIRS = `
  create schema crm;
  create type crm."Tier" as enum ('gold', 'plain');
  create table crm.customers (
    id text primary key, country varchar(2) not null, tier crm."Tier" not null default 'plain',
    balance numeric(12, 2) not null default 0, secret bytea, since timestamptz not null default '2020-01-01Z');
  create table crm.notes (number bigint primary key, customer_id text not null references crm.customers, body text);
  create table public.events (id serial primary key, what text);
  insert into crm.customers (id, country) values ('c1', 'DE'), ('c2', 'FR');
  insert into crm.notes values (1, 'c1', 'hello');
  insert into public.events (what) values ('theirs');
  create role app;
  grant usage on schema crm to app;
  grant select, insert, update, delete on all tables in schema crm to app;`;

const crm = pgSchema('crm');
const tier = crm.enum('Tier', ['gold', 'plain']);
const customers = crm.table('customers', {
  id: text('id').primaryKey(),
  country: varchar('country').notNull(),
  tier: tier('tier').notNull(),
  balance: numeric('balance', { precision: 12, scale: 2, mode: 'number' }).notNull(),
  since: timestamp('since', { withTimezone: true, mode: 'string' }).notNull(),
});
const notes = crm.table('notes', {
  number: bigint('number', { mode: 'number' }).primaryKey(),
  customerId: text('customer_id').notNull(),
});
const customer = entity({
  name: 'customer',
  table: customers,
  key: customers.id,
  keySchema: z.string(),
  lists: { byBalance: { orderBy: customers.balance } },
});
const noteHistory = history({
  name: 'note',
  table: notes,
  owners: [{ entity: customer, property: 'customerId' }],
});
const CAPTURE = captureStatements({ entities: [customer], histories: [noteHistory], everything: 'all' });

/** Everything that the other application's schemas have, and its rows. */
const SHAPE = `
  select c.relname || '.' || a.attname as name, format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull as definition
    from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relnamespace in ('crm'::regnamespace, 'public'::regnamespace)
  union all select conname, pg_get_constraintdef(oid) from pg_constraint
    where connamespace in ('crm'::regnamespace, 'public'::regnamespace)
  union all select indexname, indexdef from pg_indexes where schemaname in ('crm', 'public')
  union all select proname, '' from pg_proc where pronamespace in ('crm'::regnamespace, 'public'::regnamespace)
  union all select id, row_to_json(c)::text from crm.customers c
  union all select what, '' from public.events
  order by 1, 2`;

let directory = '';
let database: DevDatabase;
let db: ReturnType<typeof connect>;
let shapeBefore: unknown;

const query: Query = async (statement, params) =>
  z.array(z.unknown()).parse(await db.$client.query(statement, params));
const run = (statements: readonly string[]) =>
  db.$client.transaction(statements.map((statement) => db.$client.query(statement)));
const captured = async () => {
  const pending = (await readPending(db, { limit: 100 })).changes;
  await db.execute('delete from millrace.outbox');
  return pending.flatMap(({ tags }) => tags).sort();
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-adopted-'));
  const dataDir = join(directory, 'postgres');
  const before = await PGlite.create(dataDir);
  await before.exec(THEIRS);
  shapeBefore = (await before.query(SHAPE)).rows;
  await before.close();
  // Every table of this catalog is adopted: there is no folder of migrations.
  database = await startDevDatabase({ dataDir, migrationsDir: join(directory, 'no-migrations') });
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await run(CAPTURE);
});
afterAll(async () => {
  await database.close();
  await rm(directory, { recursive: true });
});
beforeEach(() => db.execute('delete from millrace.outbox'));

describe("another application's tables", () => {
  it('are unchanged except for the triggers', async () => {
    expect(await query(SHAPE, [])).toEqual(shapeBefore);
    const triggers = await query(
      `select distinct tgrelid::regclass::text as name from pg_trigger where not tgisinternal order by 1`,
      [],
    );
    // The last is of Millrace's own schema.
    expect(triggers).toEqual([
      { name: 'crm.customers' },
      { name: 'crm.notes' },
      { name: 'millrace.audit_log' },
    ]);
  });

  it('are captured for a writer that has no right on anything of Millrace', async () => {
    await run(['set local role app', `update crm.customers set country = 'AT' where id = 'c1'`]);
    expect(await captured()).toEqual(['customer:c1']);
    await run(['set local role app', `insert into crm.notes values (2, 'c2', null)`]);
    expect(await captured()).toEqual(['note@customer:c2']);
    await run(['set local role app', `update crm.customers set balance = 3 where id = 'c2'`]);
    const moved = await captured();
    expect(moved).toEqual(expect.arrayContaining(['customer:c2', 'customer/by-balance^']));
    await run(['set local role app', 'update crm.customers set secret = null']);
    expect(await captured()).toEqual([]);
    await expect(run(['set local role app', 'select * from millrace.outbox'])).rejects.toThrow(
      'permission denied for schema millrace',
    );
  });

  it("are read and written by Millrace's own statements", async () => {
    const values = { country: 'IT', tier: 'gold', balance: 1, since: '2026-01-01T00:00:00Z' };
    expect((await putEntity(db, customer, 'c3', values))?.created).toBe(true);
    expect(await captured()).toEqual(expect.arrayContaining(['customer:c3', 'customer/by-balance^']));
    expect((await putEntity(db, customer, 'c3', { ...values, country: 'ES' }))?.tags).toEqual([
      'customer:c3',
    ]);
    expect(
      await db
        .select({ country: customers.country, tier: customers.tier })
        .from(customers)
        .orderBy(customers.id),
    ).toContainEqual({ country: 'ES', tier: 'gold' });
    expect((await deleteEntity(db, customer, 'c3'))?.tags).toContain('customer:c3');
    // Captured once, by the writes themselves.
    expect((await readPending(db, { limit: 100 })).changes.length).toBe(2);
  });

  it('lose their triggers when they leave the catalog', async () => {
    await run(captureStatements({ entities: [customer], histories: [], everything: 'all' }));
    await run([`insert into crm.notes values (9, 'c1', null)`]);
    expect(await captured()).toEqual([]);
    await run(CAPTURE);
    await run(['delete from crm.notes where number = 9']);
    expect(await captured()).toEqual(['note@customer:c1']);
  });
});

describe('the declared tables', () => {
  it('are those of the database', async () => {
    await expect(assertDeclared(query, { own: [], adopted: [customers, notes] })).resolves.toBeUndefined();
  });

  it('are compared with the database, and one error lists all differences with file and remedy', async () => {
    const wrong = crm.table('customers', {
      id: integer('id').primaryKey(),
      city: text('city'),
      mood: pgEnum('mood', ['good'])('tier'),
    });
    const missing = pgTable('stations', { id: text('id').primaryKey(), name: text('name') });
    const error = await assertDeclared(query, {
      own: [missing],
      adopted: [wrong, crm.table('orders', { id: text('id') })],
    }).catch((caught: unknown) => (caught instanceof Error ? caught.message : caught));
    expect(error).toBe(`The database does not have what the catalog declares:
  - ${CATALOG_TABLES}: there is no table stations. Run npm run db:generate, then npm run db:migrate.
  - ${ADOPTED_TABLES}: crm.customers.id is declared as integer, and is text in the database. Correct adopted.ts.
  - ${ADOPTED_TABLES}: the table crm.customers has no column city. Create it with the tool that owns the table, or correct adopted.ts.
  - ${ADOPTED_TABLES}: crm.customers.tier is declared as mood, and is crm."Tier" in the database. Correct adopted.ts.
  - ${ADOPTED_TABLES}: there is no table crm.orders. Create it with the tool that owns the table, or correct adopted.ts.`);
  });

  it('of a pending migration are reported', async () => {
    const declared = pgTable('events', {
      id: integer('id').primaryKey(),
      what: text('what'),
      late: text('late'),
    });
    await expect(assertDeclared(query, { own: [declared], adopted: [] })).rejects.toThrow(
      'the table events has no column late. Run npm run db:generate',
    );
  });

  it('need the privileges select and trigger, and name the statement that grants them', async () => {
    await run(['create role millrace_role login', 'grant create on database postgres to millrace_role']);
    const asRole: Query = async (statement, params) => {
      const [, rows] = await db.$client.transaction([
        db.$client.query('set local role millrace_role'),
        db.$client.query(statement, params),
      ]);
      return z.array(z.unknown()).parse(rows);
    };
    const grant =
      'grant usage on schema crm to millrace_role; grant select, trigger on crm.customers to millrace_role;';
    await expect(assertCapturable(asRole, [customers])).rejects.toThrow(
      `millrace_role may not read crm.customers and create triggers on it. Its owner postgres has to run: ${grant}`,
    );
    // With those statements, and Millrace's own tables, a role that owns none of the tables installs capture.
    await run(grant.split('; ').map((statement) => statement.replace(';', '')));
    await expect(assertCapturable(asRole, [customers])).resolves.toBeUndefined();
    await run([
      ...captureStatements({ entities: [], histories: [], everything: 'all' }),
      'grant usage, create on schema millrace to millrace_role',
      'grant insert on millrace.outbox to millrace_role',
      'grant usage on sequence millrace.outbox_id_seq to millrace_role',
    ]);
    await run([
      'set local role millrace_role',
      ...captureStatements({ entities: [customer], histories: [], everything: 'all' }),
    ]);
    await run(['set local role app', `update crm.customers set country = 'CH' where id = 'c1'`]);
    expect(await captured()).toEqual(['customer:c1']);
    await run(['create view crm.rich as select * from crm.customers']);
    await expect(assertCapturable(query, [crm.table('rich', { id: text('id') })])).rejects.toThrow(
      'crm.rich is no table. Only tables can have triggers.',
    );
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { drizzle } from 'drizzle-orm/pglite';
import { migrate } from 'drizzle-orm/pglite/migrator';
import { afterEach, describe, expect, it } from 'vitest';
import { migratePglite } from '../../../../scripts/dev/database/migrations.ts';
import { EVERYTHING } from '../../../../src/cache/entry.ts';
import { captureStatements } from '../../../../src/storage/postgres/capture.ts';
import { IS_PART } from '../../../../test/support/node/part.ts';
import { catalog } from '../../catalog/index.ts';

const ROOT = join(import.meta.dirname, '../../../..');
/** The shop's migrations: databases of an earlier Millrace have its tables. */
const MIGRATIONS = join(ROOT, 'examples/shop/migrations');
/** Millrace's own, the baseline first; the shop has one beside them. */
const OWN_MIGRATIONS = readMigrationTags('millrace', join(ROOT, 'migrations'));
/** The shop's: what its baseline made is in the database of an earlier Millrace. */
const SHOP_MIGRATIONS = readMigrationTags('catalog', MIGRATIONS);
/** The nine migrations from before Millrace's tables had a schema of their own, as they were released. */
const LEGACY = join(import.meta.dirname, 'legacy-migrations');
const TABLES = [
  ...['audit_log', 'events', 'lineage_events', 'lineage_predictions', 'lineage_runs', 'outbox', 'pruned'],
  ...['quality_pending', 'quarantine', 'replays'],
];
const RUN = '11111111-1111-4111-8111-111111111111';

/** A row in each of Millrace's tables, and one of the catalog. */
const ROWS = `
  insert into audit_log (action, target, detail) values ('a', 't', '{}');
  insert into events (source, id, type, data, occurred_at, batch)
    select '/s', n::text, 't.v1', '{"n": 1}', now(), '${RUN}' from generate_series(1, 3) as n;
  insert into lineage_runs (id, job, subject, version, state, started_at, due_at, counts, detail)
    values ('${RUN}', 'ingest', '', '', 'RUNNING', now(), now(), '{}', '{}');
  insert into lineage_events (run_id, is_end) values ('${RUN}', false);
  insert into lineage_predictions (id, at, model, version, items, source)
    values ('${RUN}', now(), 'm', 'v', 1, 'model');
  insert into outbox (event_seq, tags) values (1, '{a,b}'), (2, '{c}');
  insert into pruned values ('outbox', 1, now());
  insert into quality_pending (batch) values ('${RUN}');
  insert into quarantine (fingerprint, reason, pointer, detail, raw) values ('f', 'r', '', 'd', '{}');
  insert into replays (id, run, state, cursor, last_seq, total, replayed) values ('rebuild', '${RUN}', 'done', 1, 1, 1, 1);
  insert into products (sku, unit_price) values ('1', 2.5);`;

/** As the installed capture of that time was: it names the outbox without a schema. */
const LEGACY_CAPTURE = `
  create function millrace_capture_products() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
  begin insert into outbox (tags) values ('{old}'); return null; end $$;
  create trigger millrace_capture_update after update on products for each statement
  execute function millrace_capture_products();`;

/** Columns, defaults, indexes and constraints of all tables of a schema, in the words of Postgres. */
const SHAPE = `
  select 'column' as kind, table_name || '.' || column_name as name, data_type || ' ' || is_nullable || ' ' ||
    coalesce(replace(column_default, 'millrace.', ''), '') as definition
  from information_schema.columns where table_schema = $1
  union all select 'index', indexname, indexdef from pg_indexes where schemaname = $1
  union all select 'constraint', conname, pg_get_constraintdef(oid) from pg_constraint
    where connamespace = $1::regnamespace and contype <> 'n'
  order by 1, 2`;

const opened: PGlite[] = [];
afterEach(async () => {
  for (const db of opened.splice(0)) await db.close();
});

async function open(): Promise<PGlite> {
  const db = await PGlite.create();
  opened.push(db);
  return db;
}

async function openLegacy(): Promise<PGlite> {
  const db = await open();
  await migrate(drizzle({ client: db }), { migrationsFolder: LEGACY });
  return db;
}

const rowsOf = async (db: PGlite, schema: string): Promise<Record<string, unknown[]>> => {
  const tables = TABLES.map(async (table) => [
    table,
    (await db.query(`select * from ${schema}.${table}`)).rows,
  ]);
  return Object.fromEntries(await Promise.all(tables)) as Record<string, unknown[]>;
};
const shapeOf = async (db: PGlite, schema: string) =>
  (await db.query<{ kind: string; name: string }>(SHAPE, [schema])).rows.filter(
    ({ name }) => !/migrations/.test(name),
  );
const tablesIn = async (db: PGlite, schema: string) =>
  (
    await db.query<{ name: string }>('select tablename as name from pg_tables where schemaname = $1', [
      schema,
    ])
  ).rows
    .map(({ name }) => name)
    .sort();

function readMigrationTags(set: string, folder: string): string[] {
  const journal: { entries: { tag: string }[] } = JSON.parse(
    readFileSync(join(folder, 'meta/_journal.json'), 'utf8'),
  );
  return journal.entries.map(({ tag }) => `${set}/${tag}`);
}

describe('a database of an earlier Millrace', () => {
  it('keeps every row, and has the same schema as a new database afterwards', async () => {
    const db = await openLegacy();
    await db.exec(ROWS);
    const before = await rowsOf(db, 'public');
    // The tables that it had are moved; what Millrace has added since is applied.
    expect(await migratePglite(db, MIGRATIONS)).toEqual({
      isUpgraded: true,
      applied: [...OWN_MIGRATIONS.slice(1), ...SHOP_MIGRATIONS.slice(1)],
      known: OWN_MIGRATIONS.length + SHOP_MIGRATIONS.length,
    });
    // Later migrations may add columns.
    expect(await rowsOf(db, 'millrace')).toMatchObject(before);
    expect(await tablesIn(db, 'public')).toEqual([
      'customers',
      'product_views',
      'products',
      'purchases',
      'returns',
    ]);
    expect((await db.query('select sku, unit_price from products')).rows).toEqual([
      { sku: '1', unit_price: '2.5000' },
    ]);
    // Sequences go on.
    await db.exec(`insert into millrace.outbox (tags) values ('{d}')`);
    expect((await db.query('select max(id)::int as id from millrace.outbox')).rows).toEqual([{ id: 3 }]);

    const fresh = await open();
    await migratePglite(fresh, MIGRATIONS);
    expect(await shapeOf(db, 'millrace')).toEqual(await shapeOf(fresh, 'millrace'));
    expect(await shapeOf(db, 'public')).toEqual(await shapeOf(fresh, 'public'));
  });

  it.skipIf(IS_PART)(
    'is upgraded once: a user table that gets one of these names later stays where it is',
    async () => {
      const db = await openLegacy();
      await migratePglite(db, MIGRATIONS);
      await db.exec('create table public.events (mine text); create table public.outbox (mine text)');
      expect(await migratePglite(db, MIGRATIONS)).toEqual({
        isUpgraded: false,
        applied: [],
        known: OWN_MIGRATIONS.length + SHOP_MIGRATIONS.length,
      });
      expect(await tablesIn(db, 'public')).toEqual(expect.arrayContaining(['events', 'outbox']));
    },
    60_000,
  );

  it('captures changes until capture is installed again, and writes each change once afterwards', async () => {
    const db = await openLegacy();
    await db.exec(ROWS + LEGACY_CAPTURE);
    await migratePglite(db, MIGRATIONS);
    const captured = async () => {
      await db.exec(`delete from millrace.outbox; update products set description = 'x' || random()`);
      return (await db.query<{ tags: string[] }>('select tags from millrace.outbox')).rows.map(
        ({ tags }) => tags,
      );
    };
    expect(await captured()).toEqual([['old']]);
    await db.transaction(async (tx) => {
      for (const statement of captureStatements({ ...catalog, everything: EVERYTHING }))
        await tx.query(statement);
    });
    expect(await captured()).toEqual([['product:1']]);
    const { rows } = await db.query(`select proname from pg_proc where proname like 'millrace_capture%'`);
    expect(rows).toEqual([]);
  });

  it.skipIf(IS_PART)(
    'is refused and left unchanged if it has only some of the old migrations',
    async () => {
      const db = await openLegacy();
      await db.exec('delete from drizzle.__drizzle_migrations where id > 7');
      const before = await tablesIn(db, 'public');
      await expect(migratePglite(db, MIGRATIONS)).rejects.toThrow(
        /not 0007_event_versions, 0008_replay\. Apply those with the release that you came from/,
      );
      expect(await tablesIn(db, 'public')).toEqual(before);
      expect(await tablesIn(db, 'millrace')).toEqual([]);
    },
    60_000,
  );
});

describe("a user's database with tables of the same names", () => {
  it.skipIf(IS_PART)(
    'is never mistaken for an earlier Millrace, even if drizzle made its tables',
    async () => {
      const db = await open();
      await db.exec(`
      create table public.events (id serial primary key, what text);
      insert into public.events (what) values ('mine');
      create table public.outbox (id uuid primary key);
      create schema drizzle;
      create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);
      insert into drizzle.__drizzle_migrations (hash, created_at) values ('theirs', 9999999999999)`);
      const before = await shapeOf(db, 'public');
      const run = await migratePglite(db, MIGRATIONS);
      // Their journal is newer than the catalog's migrations, and does not hide them.
      expect(run).toEqual({
        isUpgraded: false,
        applied: [...OWN_MIGRATIONS, ...SHOP_MIGRATIONS],
        known: OWN_MIGRATIONS.length + SHOP_MIGRATIONS.length,
      });
      expect(await shapeOf(db, 'public')).toEqual(expect.arrayContaining(before));
      expect((await db.query('select what from public.events')).rows).toEqual([{ what: 'mine' }]);
      expect((await db.query('select hash from drizzle.__drizzle_migrations')).rows).toEqual([
        { hash: 'theirs' },
      ]);
      expect(await tablesIn(db, 'millrace')).toEqual(expect.arrayContaining(TABLES));
    },
    60_000,
  );
});

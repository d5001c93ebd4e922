import { sql } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { ensure } from '../../../src/define/event.ts';
import {
  captureStatements,
  dropCaptureStatements,
  ROW_TAGS_MAX,
  STATEMENT_TAGS_MAX,
} from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { deleteEntity, putEntity } from '../../../src/storage/postgres/entity-writes.ts';
import { type StorableEvent, storeEvents } from '../../../src/storage/postgres/event-store.ts';
import { readPending } from '../../../src/storage/postgres/outbox.ts';
import { customer, product, purchaseHistory } from '../../support/catalog/entities.ts';
import { catalog } from '../../support/catalog/index.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { runsOf } from '../../support/node/part.ts';
import {
  anyFate,
  anyThings,
  CAPTURED,
  deleted,
  inserted,
  type Thing,
  thing,
  unique,
  updated,
} from './capture-catalog.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';

const Tags = z.array(z.object({ tags: z.array(z.string()) }));
const dialect = new PgDialect();

/** What every Postgres has to do. */
function capturesOtherWriters(
  open: () => Promise<{ database: DevDatabase; stop: () => Promise<void> }>,
): void {
  let db: ReturnType<typeof connect>;
  let stop = async () => {};
  const run = (statements: readonly string[]) =>
    db.$client.transaction(statements.map((statement) => db.$client.query(statement)));
  const query = async (text: string, ...params: unknown[]) => await db.$client.query(text, params);
  const outbox = async (): Promise<string[][]> =>
    Tags.parse(await query('select tags from millrace.outbox order by id')).map(({ tags }) => tags);
  const captured = async (): Promise<string[]> => {
    const rows = await outbox();
    await query('delete from millrace.outbox');
    return unique(rows.flat());
  };
  const asJson = (rows: readonly Thing[]) =>
    JSON.stringify(
      rows.map(({ open, price, note, ...row }) => ({
        ...row,
        changed: open,
        'price "net"': price,
        prior: note,
      })),
    );
  const insert = (rows: readonly Thing[]) =>
    query(
      `insert into "thing's" select * from jsonb_populate_recordset(null::"thing's", $1::jsonb)`,
      asJson(rows),
    );

  beforeAll(async () => {
    const opened = await open();
    stop = opened.stop;
    db = connect({ url: opened.database.connectionString, endpoint: opened.database.endpoint });
    await query(`create table "thing's" (id text primary key, "group" text, shelf integer not null,
      changed boolean not null, "price ""net""" numeric(12, 4) not null, prior text)`);
    await query(`create table visits (at bigint primary key, "thing id" text not null, "group" text)`);
    await run(CAPTURED);
  });
  afterAll(() => stop());
  beforeEach(() => query('delete from millrace.outbox'));

  it("writes the catalog's tags of the changed rows, for every kind of statement", async () => {
    await fc.assert(
      fc.asyncProperty(anyThings, fc.infiniteStream(anyFate), async (rows, fates) => {
        await query(`truncate "thing's"`);
        await query('delete from millrace.outbox');
        await insert(rows);
        expect(await captured()).toEqual(unique(rows.flatMap(inserted)));

        // One update of all rows; a key that another row has, or had, is left as it is.
        const taken = new Set(rows.map(({ id }) => id));
        const changes = rows.flatMap((row) => {
          const fate = fates.next().value;
          if (fate === null || fate === undefined) return [];
          const id = 'id' in fate && fate.id !== undefined && !taken.has(fate.id) ? fate.id : row.id;
          taken.add(id);
          return [{ row, now: { ...row, ...fate, id } }];
        });
        await query(
          `update "thing's" t set id = n.id, "group" = n."group", shelf = n.shelf, changed = n.changed,
             "price ""net""" = n."price ""net""", prior = n.prior
           from jsonb_populate_recordset(null::"thing's", $1::jsonb) with ordinality as
             n(id, "group", shelf, changed, "price ""net""", prior, place),
             jsonb_array_elements_text($2::jsonb) with ordinality as o(id, place)
           where n.place = o.place and t.id = o.id`,
          asJson(changes.map(({ now }) => now)),
          JSON.stringify(changes.map(({ row }) => row.id)),
        );
        expect(await captured()).toEqual(
          unique(
            changes.flatMap(({ row, now }) =>
              row.id === now.id ? updated(row, now) : [...deleted(row), ...inserted(now)],
            ),
          ),
        );

        const changed = new Map(changes.map(({ row, now }) => [row.id, now]));
        const present = rows.map((row) => changed.get(row.id) ?? row);
        await query(`delete from "thing's"`);
        expect(await captured()).toEqual(unique(present.flatMap(deleted)));
      }),
      { numRuns: runsOf(60), seed: 1 },
    );
  });

  it('handles rows that swap their keys as changes of each key', async () => {
    const row = { group: 'a', shelf: 1, open: true, price: 1, note: null };
    const [one, two] = [
      { ...row, id: 'one' },
      { ...row, id: 'two', price: 2, group: 'b' },
    ];
    await query(`alter table "thing's" drop constraint "thing's_pkey"`);
    await insert([one, two]);
    await captured();
    await query(`update "thing's" set id = case id when 'one' then 'two' else 'one' end`);
    expect(await captured()).toEqual(
      unique([...updated(one, { ...two, id: 'one' }), ...updated(two, { ...one, id: 'two' })]),
    );
    await query(`alter table "thing's" add primary key (id)`);
  });

  it('writes the owners of rows of a history, before and after', async () => {
    await query(`insert into visits values (1, 't1', 'g1'), (2, 't1', null), (3, 't2', 'g1')`);
    expect(await captured()).toEqual(['visit@group:g1', "visit@thing's:t1", "visit@thing's:t2"]);
    await query(`update visits set "group" = 'g2' where at = 1`);
    expect(await captured()).toEqual(['visit@group:g1', 'visit@group:g2', "visit@thing's:t1"]);
    await query(`update visits set "group" = "group"`);
    expect(await captured()).toEqual([]);
    await query('update visits set at = 9 where at = 2');
    expect(await captured()).toEqual(["visit@thing's:t1"]);
    await query('delete from visits');
    expect(await captured()).toEqual([
      'visit@group:g1',
      'visit@group:g2',
      "visit@thing's:t1",
      "visit@thing's:t2",
    ]);
    await query('delete from visits');
    expect(await outbox()).toEqual([]);
  });

  it('captures an upsert on both of its sides', async () => {
    await query(`insert into "thing's" values ('old', 'a', 1, true, 1, null)`);
    await captured();
    await query(`insert into "thing's" values ('old', 'a', 1, true, 1, 'x'), ('new', null, 1, true, 1, null)
      on conflict (id) do update set prior = excluded.prior`);
    const both = [
      ...['in-group@group:a', "thing's:old"],
      ...inserted({ id: 'new', group: null, shelf: 1, open: true, price: 1, note: null }),
    ];
    expect(await captured()).toEqual(unique(both));
  });

  it('keeps the tags of one row together, in outbox rows of a bounded size', async () => {
    await query(`truncate "thing's"`);
    await query('delete from millrace.outbox');
    const rows = Array.from({ length: 100 }, (_, n) => ({
      ...{ id: `${n}`, group: `g${n % 7}`, shelf: n, open: true, price: n, note: null },
    }));
    await insert(rows);
    const written = await outbox();
    expect(written.length).toBeGreaterThan(10);
    const ofOneRow = Math.max(...rows.map((row) => inserted(row).length));
    for (const tags of written) expect(tags.length).toBeLessThan(ROW_TAGS_MAX + ofOneRow);
    for (const row of rows) {
      const home = written.find((tags) => tags.includes(thing.row(row.id)));
      expect(home).toEqual(expect.arrayContaining(inserted(row)));
    }
  });

  it('distinguishes changed rows up to a limit, and invalidates everything beyond it', async () => {
    const fill = (count: number) =>
      query(
        `insert into "thing's" select n::text, null, 1, true, 1, null from generate_series(1, $1::int) as n`,
        count,
      );
    await query(`truncate "thing's"`);
    await fill(STATEMENT_TAGS_MAX + 1);
    await query('delete from millrace.outbox');
    await query(`update "thing's" set prior = 'x' where id <> '1'`);
    const precise = await outbox();
    expect(precise.length).toBe(STATEMENT_TAGS_MAX / ROW_TAGS_MAX);
    expect(new Set(precise.flat()).size).toBe(STATEMENT_TAGS_MAX);
    await query('delete from millrace.outbox');
    await query(`update "thing's" set prior = 'y'`);
    expect(await outbox()).toEqual([['all']]);
    await query('delete from millrace.outbox');
    await query(`delete from "thing's"`);
    expect(await outbox()).toEqual([['all']]);
    await query('delete from millrace.outbox');
    // However many rows, as long as they have their owners in common.
    await query(`insert into visits select n, 't' || n % 10, 'g' from generate_series(1, 30000) as n`);
    expect(await outbox()).toHaveLength(1);
    await query('truncate visits');
  });

  it('invalidates everything after a truncate', async () => {
    await query('truncate visits');
    expect(await outbox()).toEqual([['all']]);
  });

  it('does not fail a statement whose tags cannot be computed, and invalidates everything', async () => {
    await query(`alter table visits rename column "group" to team`);
    await query(`insert into visits values (1, 't', 'g')`);
    expect(await outbox()).toEqual([['all']]);
    expect(await query('select count(*)::int as visits from visits')).toEqual([{ visits: 1 }]);
    await query(`alter table visits rename column team to "group"`);
  });

  it('leaves no trace of a statement that is rolled back', async () => {
    const failing = run([`insert into visits values (50, 't', 'g')`, 'select 1 / 0']);
    await expect(failing).rejects.toThrow('division by zero');
    expect(await outbox()).toEqual([]);
  });

  it('needs no rights of other writers on the outbox, and is not misled by their tables', async () => {
    const role = `millrace_writer_${process.pid}`;
    await query(`create role ${role}`);
    await query(`grant insert on visits to ${role}`);
    await run([
      `set local role ${role}`,
      'create temp table outbox (tags text[]) on commit drop',
      `insert into visits values (60, 't', 'g')`,
    ]);
    expect(await captured()).toEqual(['visit@group:g', "visit@thing's:t"]);
    await query(`revoke all on visits from ${role}`);
    await query(`drop role ${role}`);
  });

  it('can be installed again, then leaves out tables that are no longer captured, and can be removed', async () => {
    await run(CAPTURED);
    await query(`insert into visits values (70, 't', null)`);
    expect(await outbox()).toEqual([["visit@thing's:t"]]);
    await run(captureStatements({ entities: [thing], histories: [], everything: 'all' }));
    await query(`insert into visits values (71, 't', null)`);
    expect(await outbox()).toHaveLength(1);
    await run(dropCaptureStatements());
    await query(`delete from "thing's"`);
    await query(`insert into "thing's" values ('z', 'a', 1, true, 1, null)`);
    expect(await outbox()).toHaveLength(1);
    const left = sql`select count(*)::int as left from pg_trigger where tgname like 'millrace%'`;
    expect(await query(dialect.sqlToQuery(left).sql)).toEqual([{ left: 0 }]);
  });

  describe("and ignores the worker's own writes", () => {
    beforeAll(() => run(captureStatements({ ...catalog, everything: 'all' })));

    it('because these wrote their outbox rows', async () => {
      const values = { description: 'A', unitPrice: 1 };
      await putEntity(db, product, 'own', values);
      expect(await outbox()).toHaveLength(1);
      await putEntity(db, product, 'own', { ...values, unitPrice: 2 });
      expect(await outbox()).toHaveLength(2);
      await deleteEntity(db, product, 'own');
      expect(await outbox()).toHaveLength(3);
      await query('delete from millrace.outbox');
      const row = { invoice: 'I', sku: 's', customerId: 'c', quantity: 1, unitPrice: 1, country: 'x' };
      const event: StorableEvent = {
        ...{ source: '/test', id: '1', type: 't.v1', subject: null, data: {} },
        time: '2026-01-01T00:00:00Z',
        effects: [
          ensure(customer, { id: 'c', country: 'x' }),
          ensure(product, { sku: 's', description: null, unitPrice: 1 }),
          { kind: 'append', history: purchaseHistory, row: { ...row, occurredAt: '2026-01-01T00:00:00Z' } },
        ],
        tags: ['purchase@customer:c'],
      };
      await storeEvents(db, [event], '11111111-1111-4111-8111-111111111111');
      // One of each entity, and one of the event.
      expect(await outbox()).toHaveLength(3);
    });

    it("and any writer's transaction can mark its changes as bulk", async () => {
      const lanes = async () => {
        const rows = await query('select distinct is_bulk from millrace.outbox');
        await query('delete from millrace.outbox');
        return Array.from(rows as Record<string, unknown>[], ({ is_bulk: isBulk }) =>
          String(isBulk).startsWith('t'),
        );
      };
      await putEntity(db, product, 'lane', { description: null, unitPrice: 1 });
      expect(await lanes()).toEqual([false]);
      const update = "update products set unit_price = unit_price + 1 where sku = 'lane'";
      await run(["set local millrace.bulk = 'on'", update]);
      expect(await lanes()).toEqual([true]);
      await query(update);
      expect(await lanes()).toEqual([false]);
      const row = { invoice: 'I', sku: 'bulk', customerId: 'c', quantity: 1, unitPrice: 1, country: 'x' };
      const bulk: StorableEvent = {
        ...{ source: '/test', id: 'bulk', type: 't.v1', subject: null, data: {} },
        time: '2026-01-01T00:00:00Z',
        effects: [
          ensure(product, { sku: 'bulk', description: null, unitPrice: 1 }),
          { kind: 'append', history: purchaseHistory, row: { ...row, occurredAt: '2026-01-01T00:00:00Z' } },
        ],
        tags: ['purchase@customer:c'],
      };
      await storeEvents(db, [bulk], '22222222-2222-4222-8222-222222222222', 'bulk');
      await query(update);
      // The relay reads live changes first, though this one is the newest.
      const pending = (await readPending(db, { limit: 10 })).changes;
      expect(pending.map(({ lane }) => lane)).toEqual(['live', 'bulk', 'bulk']);
      await query('delete from millrace.outbox');
    });

    it("and the next statement of the session is another writer's again", async () => {
      await putEntity(db, product, 'next', { description: null, unitPrice: 1 });
      await query('delete from millrace.outbox');
      for (let session = 0; session < 3; session += 1)
        await query(`update products set description = $1 where sku = 'next'`, `${session}`);
      expect(await outbox()).toEqual([['product:next'], ['product:next'], ['product:next']]);
    });
  });
}

describe('capture on PGlite', () => {
  capturesOtherWriters(async () => {
    const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    return { database, stop: () => database.close() };
  });
});

describe.skipIf(!POSTGRES_URL)(`capture on ${POSTGRES_TITLE}`, () => {
  capturesOtherWriters(async () => {
    const admin = new pg.Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    const name = `millrace_capture_${process.pid}`;
    await admin.query(`create database ${name}`);
    const url = new URL(POSTGRES_URL ?? '');
    url.pathname = `/${name}`;
    const database = await startDevDatabase({ databaseUrl: url.href, migrationsDir: FIXTURE.migrationsDir });
    const stop = async () => {
      await database.close();
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    };
    return { database, stop };
  });
});

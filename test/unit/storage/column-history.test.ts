import { boolean, integer, numeric, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { entity } from '../../../src/define/entity.ts';
import { feature } from '../../../src/define/feature.ts';
import {
  type CaptureSource,
  capturedTriggers,
  captureStatements,
  dropCaptureStatements,
} from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { readCaptureTriggers } from '../../../src/storage/postgres/diagnosis.ts';
import { deleteEntity, putEntity } from '../../../src/storage/postgres/entity-writes.ts';
import { readPending } from '../../../src/storage/postgres/outbox.ts';
import { reflect } from '../../../src/storage/postgres/reflecting.ts';
import type { CapturedTrigger } from '../../../src/storage/postgres/trigger-sql.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';

const spots = pgTable("spot's", {
  id: integer('id').primaryKey(),
  district: text('the "district"'),
  fare: numeric('fare', { precision: 12, scale: 4, mode: 'number' }),
  isOpen: boolean('open'),
  checkedAt: timestamp('checked', { withTimezone: true, mode: 'string' }),
  bikes: integer('bikes').notNull().default(0),
});
const parts = pgTable(
  'parts',
  { spot: integer('spot').notNull(), label: text('label').notNull(), size: integer('size') },
  (table) => [primaryKey({ columns: [table.spot, table.label] })],
);
const spot = entity({ name: 'spot', table: spots, key: spots.id });
const part = entity({ name: 'part', table: parts, key: [parts.spot, parts.label] });
const ofSpot = [
  feature.column({ name: 'district', entity: spot, column: spots.district }),
  feature.column({ name: 'fare', entity: spot, column: spots.fare }),
  feature.column({ name: 'fare_again', entity: spot, column: spots.fare }),
  feature.column({ name: 'is_open', entity: spot, column: spots.isOpen }),
];
const size = feature.column({ name: 'size', entity: part, column: parts.size });
const source = (features: CaptureSource['features'] & {}): CaptureSource => ({
  ...{ entities: [spot, part], histories: [], features, everything: 'all' },
});

const Stored = z.array(z.object({ type: z.string(), data: z.looseObject({ key: z.string() }) }));

function recordsColumns(open: () => Promise<{ database: DevDatabase; stop: () => Promise<void> }>): void {
  let db: ReturnType<typeof connect>;
  let stop = async () => {};
  const run = (statements: readonly string[]) =>
    db.$client.transaction(statements.map((statement) => db.$client.query(statement)));
  const query = async (text: string, ...params: unknown[]) => await db.$client.query(text, params);
  /** The changes since the last call, each as `type key row`, and checks that each has an outbox row without tags. */
  const changes = async (): Promise<string[]> => {
    const rows = Stored.parse(
      (await query('select type, data from millrace.events order by seq')) as unknown[],
    );
    const [counted] = (await query(
      `select count(*)::int as n from millrace.outbox o join millrace.events e on e.seq = o.event_seq where o.tags = '{}'`,
    )) as { n: unknown }[];
    expect(Number(counted?.n)).toBe(rows.length);
    await query('delete from millrace.events');
    await query('delete from millrace.outbox');
    return rows
      .map(({ type, data: { key, ['row']: row } }) => `${type.split('.')[2]} ${key} ${JSON.stringify(row)}`)
      .sort();
  };
  const row = (district: string | null, fare: number | null, isOpen: boolean | null) =>
    JSON.stringify({ fare, isOpen, district });

  beforeAll(async () => {
    const opened = await open();
    stop = opened.stop;
    db = connect({ url: opened.database.connectionString, endpoint: opened.database.endpoint });
    await query(`create table "spot's" (id integer primary key, "the ""district""" text, fare numeric(12, 4),
      open boolean, checked timestamptz, bikes integer not null default 0)`);
    await query(
      'create table parts (spot integer not null, label text not null, size integer, primary key (spot, label))',
    );
    await query(`insert into "spot's" values (1, 'old', 1.5, true, null, 0)`);
    await run(captureStatements(source([...ofSpot, size])));
  });
  afterAll(() => stop());

  it('stores the rows that are there when capture begins, in the bulk lane', async () => {
    const { changes: pending } = await readPending(db, { limit: 10 });
    expect(pending).toMatchObject([
      { lane: 'bulk', tags: [], event: { type: 'millrace.row.spot.v1', data: { key: '1' } } },
    ]);
    expect(await changes()).toEqual([`spot 1 ${row('old', 1.5, true)}`]);
  });

  describe('of a statement', () => {
    beforeEach(async () => {
      await query(`delete from "spot's"`);
      await query('delete from parts');
      await query(`insert into "spot's" values (1, 'a', 1, true, null, 0), (2, 'b', 2.25, null, null, 0)`);
      await changes();
    });

    it('stores each row that it inserts, changes or deletes, by any writer', async () => {
      await query(
        `insert into "spot's" values (3, null, null, null, null, 0), (4, 'c', 0.1, false, null, 0)`,
      );
      expect(await changes()).toEqual([`spot 3 ${row(null, null, null)}`, `spot 4 ${row('c', 0.1, false)}`]);
      await query(`update "spot's" set fare = fare + 1 where id < 3`);
      expect(await changes()).toEqual([`spot 1 ${row('a', 2, true)}`, `spot 2 ${row('b', 3.25, null)}`]);
      await query(`delete from "spot's" where id > 2`);
      expect(await changes()).toEqual(['spot 3 null', 'spot 4 null']);
    });

    it('stores nothing of a row whose columns stay the same', async () => {
      await query(`update "spot's" set bikes = bikes + 1, fare = 1.0000 where id = 1`);
      await query(`update "spot's" set bikes = 3`);
      expect(await changes()).toEqual([]);
    });

    it('takes a row with another key for one that is gone and one that is new', async () => {
      await query(`update "spot's" set id = id + 10`);
      expect(await changes()).toEqual([
        'spot 1 null',
        `spot 11 ${row('a', 1, true)}`,
        `spot 12 ${row('b', 2.25, null)}`,
        'spot 2 null',
      ]);
    });

    it('stores the rows of a truncated table as deleted, and keys of several columns by their text', async () => {
      await query(`insert into parts values (1, 'a,b', 5), (1, '%', null)`);
      expect(await changes()).toEqual(['part 1,%25 {"size":null}', 'part 1,a%2Cb {"size":5}']);
      await query(`truncate parts, "spot's"`);
      expect(await changes()).toEqual(['part 1,%25 null', 'part 1,a%2Cb null', 'spot 1 null', 'spot 2 null']);
    });

    it("stores the worker's own writes, which the capture of other writers leaves out", async () => {
      const values = { district: 'w', fare: 1, isOpen: true };
      const inserted = await putEntity(db, spot, 7, values, {}, true);
      expect(inserted?.change?.data).toEqual({ key: '7', row: { district: 'w', fare: 1, isOpen: true } });
      // Repeated, because its answer was lost: it changes nothing, and means the first one.
      const repeated = await putEntity(db, spot, 7, values, {}, true);
      expect(repeated?.change).toEqual(inserted?.change);
      await putEntity(db, spot, 7, { ...values, isOpen: false });
      const deleted = await deleteEntity(db, spot, 7, {}, 'read');
      expect(deleted?.change).toMatchObject({ type: 'millrace.row.spot.v1', data: { key: '7', row: null } });
      expect((await deleteEntity(db, spot, 7, {}, 'read'))?.change).toEqual(deleted?.change);
      expect((await deleteEntity(db, spot, 7))?.change).toBeUndefined();
      expect(await changes()).toEqual([
        'spot 7 null',
        `spot 7 ${row('w', 1, false)}`,
        `spot 7 ${row('w', 1, true)}`,
      ]);
    });

    it('stores nothing of an erasure, which leaves the key nowhere', async () => {
      expect(await deleteEntity(db, spot, 1, {}, 'off')).not.toBeNull();
      expect(await changes()).toEqual([]);
      await query(`delete from "spot's" where id = 2`);
      expect(await changes()).toEqual(['spot 2 null']);
    });

    it('leaves out a text that is too long for a feature, and numbers that JSON does not have', async () => {
      await query(`update "spot's" set "the ""district""" = repeat('x', 257), fare = 'NaN' where id = 1`);
      expect(await changes()).toEqual([
        `spot 1 ${JSON.stringify({ fare: 'NaN', isOpen: true, district: null })}`,
      ]);
    });

    it('numbers the changes of one row in their order, whatever the transactions began', async () => {
      await run([`update "spot's" set fare = 5 where id = 1`, `update "spot's" set fare = 6 where id = 1`]);
      const rows = (await query(`select data->'row'->>'fare' as fare, recorded_at = occurred_at as same
        from millrace.events order by seq`)) as { fare: string; same: unknown }[];
      expect(rows.map(({ fare }) => Number(fare))).toEqual([5, 6]);
      expect(rows.map(({ same }) => String(same).charAt(0))).toEqual(['t', 't']);
      await changes();
    });

    it('does not keep answers from being stored: no tag is pending', async () => {
      await query(`insert into "spot's" select n, 'x', n, true, null, 0 from generate_series(100, 400) as n`);
      await query(`delete from millrace.outbox where tags <> '{}'`);
      const { db: reflecting, report } = reflect(db.$client, 'epoch');
      await reflecting.execute('select 1');
      expect(report()).toMatchObject({ pending: [], truncated: false });
      await changes();
    });

    it('never fails the statement: a dropped column makes the values unknown until capture is run again', async () => {
      await query(`alter table "spot's" rename column open to closed`);
      await query(`update "spot's" set fare = 9 where id = 1`);
      await query(`insert into "spot's" values (5, 'n', 1, true, null, 0)`);
      expect(await changes()).toEqual(['spot 1 null', 'spot 5 null']);
      await query(`alter table "spot's" rename column closed to open`);
    });
  });

  describe('capture that is run again', () => {
    it('stores nothing where nothing differs, and what was missed where it was removed meanwhile', async () => {
      await query(`delete from "spot's"`);
      await changes();
      await query(`insert into "spot's" values (1, 'a', 1, true, null, 0), (2, 'b', 2, true, null, 0)`);
      await run(captureStatements(source([...ofSpot, size])));
      const [counted] = (await query('select count(*)::int as n from millrace.events')) as { n: unknown }[];
      expect(Number(counted?.n)).toBe(2);
      await run(dropCaptureStatements());
      await query(`update "spot's" set fare = 3 where id = 1`);
      await query(`delete from "spot's" where id = 2`);
      await run(captureStatements(source([...ofSpot, size])));
      const stored = Stored.parse(
        (await query('select type, data from millrace.events order by seq offset 2')) as unknown[],
      );
      expect(stored.map(({ data }) => data).sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
        { key: '1', row: { fare: 3, isOpen: true, district: 'a' } },
        { key: '2', row: null },
      ]);
      await changes();
    });

    it('stores all rows with a column that a new feature reads, and stops where no feature reads any', async () => {
      const checked = feature.column({ name: 'checked', entity: spot, column: spots.checkedAt });
      await query(`update "spot's" set checked = '2026-01-01T00:00:00.0015Z'`);
      await changes();
      await run(captureStatements(source([...ofSpot, checked])));
      const [only] = await changes();
      expect(only).toContain(`"checkedAt":${Date.UTC(2026, 0, 1) + 1}`);
      await query(`insert into parts values (9, 'x', 1)`);
      expect(await changes()).toEqual([]);
      await run(captureStatements(source([])));
      await query(`update "spot's" set fare = 99`);
      expect(await changes()).toEqual([]);
    });

    it('is compared with the declarations by a diagnosis', async () => {
      const expected = capturedTriggers(source(ofSpot));
      expect(expected.map(({ functionName }) => functionName)).toContain("columns public.spot's");
      await run(captureStatements(source(ofSpot)));
      const installed = await readCaptureTriggers(db, expected);
      const plain = ({ functionName, body, triggers }: CapturedTrigger) => [functionName, body, triggers];
      expect(installed.map(plain).sort()).toEqual(expected.map(plain).sort());
      await query(`alter table "spot's" disable trigger millrace_columns_update`);
      const lacking = await readCaptureTriggers(db, expected);
      const found = lacking.find(({ functionName }) => functionName.startsWith('columns '));
      expect(found?.triggers).not.toContain('millrace_columns_update');
      await query(`alter table "spot's" enable trigger millrace_columns_update`);
    });
  });
}

describe('the history of columns on PGlite', () => {
  recordsColumns(async () => {
    const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    return { database, stop: () => database.close() };
  });
});

describe.skipIf(!POSTGRES_URL)(`the history of columns on ${POSTGRES_TITLE}`, () => {
  const name = `columns_${process.pid}`;

  recordsColumns(async () => {
    const url = new URL(POSTGRES_URL ?? '');
    url.pathname = `/${name}`;
    const admin = new pg.Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    await admin.query(`create database ${name}`);
    const database = await startDevDatabase({ databaseUrl: url.href, migrationsDir: FIXTURE.migrationsDir });
    const stop = async () => {
      await database.close();
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    };
    return { database, stop };
  });
});

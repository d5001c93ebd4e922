import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { boundsOf, readHistory } from '../../../src/storage/postgres/history.ts';
import { pruneOld, readPruned } from '../../../src/storage/postgres/retention.ts';
import { pruneRowChanges } from '../../../src/storage/postgres/row-change-retention.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';
const NOW = '2026-03-01T00:00:00Z';

function keepsAndPrunes(start: () => Promise<{ database: DevDatabase; stop: () => Promise<void> }>): void {
  let stop: () => Promise<void>;
  let db: ReturnType<typeof connect>;

  beforeAll(async () => {
    const started = await start();
    stop = started.stop;
    const { connectionString: url, endpoint } = started.database;
    db = connect({ url, endpoint });
  });
  afterAll(() => stop());
  beforeEach(async () => {
    await db.execute(
      sql`truncate millrace.events, millrace.outbox, millrace.quarantine, millrace.quality_pending, millrace.pruned`,
    );
  });

  const event = (seq: number, type: string, recordedAt: string, batch = crypto.randomUUID()) =>
    db.execute(sql`insert into millrace.events (seq, source, id, type, data, occurred_at, recorded_at, batch)
      values (${seq}, '/s', ${String(seq)}, ${type}, '{}', ${recordedAt}, ${recordedAt}, ${batch})`);
  const relayed = (id: number, epoch: string | null, seq: number | null, at: string | null, eventSeq = 0) =>
    db.execute(sql`insert into millrace.outbox (id, event_seq, tags, relayed_at, relayed_epoch, relayed_seq)
      values (${id}, ${eventSeq}, '{}', ${at}, ${epoch}, ${seq})`);
  const idsOf = async (query: ReturnType<typeof sql>) => {
    const { rows } = await db.execute(query);
    return z
      .array(z.object({ id: z.coerce.number() }))
      .parse(rows)
      .map(({ id }) => id);
  };

  it('deletes only events of the named types, and none that is pending or not scored', async () => {
    const unscored = crypto.randomUUID();
    await event(1, 'a', '2026-01-01T00:00:00Z');
    await event(2, 'b', '2026-01-01T00:00:00Z');
    await event(3, 'a', '2026-01-02T00:00:00Z');
    await event(4, 'a', '2026-01-03T00:00:00Z', unscored);
    await event(5, 'a', '2026-02-28T12:00:00Z');
    await relayed(1, null, null, null, 3);
    await db.execute(sql`insert into millrace.quality_pending (batch) values (${unscored})`);
    // A policy of no time at all is held to the least.
    expect(await pruneOld(db, { events: { a: 0 } }, NOW)).toEqual({ 'events:a': 1 });
    expect(await idsOf(sql`select seq as id from millrace.events order by seq`)).toEqual([2, 3, 4, 5]);
    await db.execute(sql`update millrace.outbox set relayed_at = now()`);
    await db.execute(sql`truncate millrace.quality_pending`);
    expect(await pruneOld(db, { events: { a: 0 } }, NOW)).toEqual({ 'events:a': 2 });
    expect(await pruneOld(db, { events: { a: 0 } }, NOW)).toEqual({});
    expect(await readPruned(db)).toEqual([
      { target: 'events:a', rows: 3, until: '2026-01-03T00:00:00.000000Z' },
    ]);
  });

  it('keeps pending outbox rows, and the newest moment of each epoch', async () => {
    const old = '2026-01-01T00:00:00Z';
    await relayed(1, 'one', 7, old);
    await relayed(2, 'one', 9, old);
    await relayed(3, 'one', 9, old);
    await relayed(4, 'two', 2, old);
    await relayed(5, null, null, null);
    await relayed(6, null, null, old);
    await relayed(7, 'two', 1, old);
    await relayed(8, 'three', 1, '2026-02-28T00:00:00Z');
    expect(await pruneOld(db, { events: {}, outbox: 30 }, NOW)).toEqual({ outbox: 4 });
    expect(await idsOf(sql`select id from millrace.outbox order by id`)).toEqual([3, 4, 5, 8]);
    expect(await pruneOld(db, { events: {}, outbox: 30 }, NOW)).toEqual({});
  });

  it('keeps open quarantine for longer than closed', async () => {
    const put = (id: number, state: string) =>
      db.execute(sql`insert into millrace.quarantine (id, fingerprint, reason, pointer, detail, raw, received_at, state)
        values (${id}, ${String(id)}, 'r', '', '', '{}', '2025-11-01T00:00:00Z', ${state})`);
    await put(1, 'open');
    await put(2, 'released');
    const policy = { events: {}, quarantineClosed: 90, quarantineOpen: 365 };
    expect(await pruneOld(db, policy, NOW)).toEqual({ 'quarantine:closed': 1 });
    expect(await pruneOld(db, policy, '2027-03-01T00:00:00Z')).toEqual({ 'quarantine:open': 1 });
  });

  describe('changes of rows', () => {
    const TYPE = 'millrace.row.station.v1';
    const change = (seq: number, key: string, row: object | null, at: string, type = TYPE) =>
      db.execute(sql`insert into millrace.events (seq, source, id, type, data, occurred_at, recorded_at, batch)
        values (${seq}, '/millrace/rows', ${String(seq)}, ${type}, ${JSON.stringify({ key, row })}::jsonb, ${at}, ${at},
          ${crypto.randomUUID()})`);
    const left = () => idsOf(sql`select seq as id from millrace.events order by seq`);
    const prune = (now = NOW) => pruneOld(db, { events: {}, rowChanges: 30 }, now, [TYPE]);

    it('are deleted once a newer one of the row is old, too; the last one before that stays', async () => {
      await change(1, '1', { a: 1 }, '2026-01-01T00:00:00Z');
      await change(2, '2', { a: 1 }, '2026-01-01T00:00:00Z');
      await change(3, '1', { a: 2 }, '2026-01-02T00:00:00Z');
      await change(4, '1', { a: 3 }, '2026-01-03T00:00:00Z');
      await change(5, '2', null, '2026-02-20T00:00:00Z');
      await change(6, '1', { a: 4 }, '2026-02-27T00:00:00Z');
      // An event of another type with the same key, and one that no entity of the catalog has.
      await change(7, '1', { a: 1 }, '2026-01-01T00:00:00Z', 'millrace.row.gone.v1');
      expect(await prune()).toEqual({ [`row-changes:${TYPE}`]: 2 });
      expect(await left()).toEqual([2, 4, 5, 6, 7]);
      // What was known as of a moment after the change that covers the deleted ones is known still.
      expect(await readPruned(db)).toEqual([
        { target: `row-changes:${TYPE}`, rows: 2, until: '2026-01-03T00:00:00.000000Z' },
      ]);
      expect(await prune()).toEqual({});
      expect(await prune('2026-03-25T00:00:00Z')).toEqual({ [`row-changes:${TYPE}`]: 1 });
      expect(await left()).toEqual([4, 5, 6, 7]);
      expect(await prune('2026-04-25T00:00:00Z')).toEqual({ [`row-changes:${TYPE}`]: 1 });
      expect(await left()).toEqual([5, 6, 7]);
      expect((await readPruned(db)).map(({ rows, until }) => [rows, until])).toEqual([
        [4, '2026-02-27T00:00:00.000000Z'],
      ]);
    });

    it('stay where a column is not in the newer one, the clock went back, or the relay has not passed', async () => {
      const at = '2026-01-02T00:00:00Z';
      await change(1, 'fewer', { a: 1, b: 1 }, at);
      await change(2, 'fewer', { a: 2 }, at);
      await change(3, 'back', { a: 1 }, '2026-01-03T00:00:00Z');
      await change(4, 'back', { a: 2 }, at);
      await change(5, 'pending', { a: 1 }, at);
      await change(6, 'pending', { a: 2 }, at);
      await relayed(1, null, null, null, 5);
      await change(7, 'more', { a: 1 }, at);
      await change(8, 'more', { a: 2, b: 2 }, at);
      await change(9, 'deleted', { a: 1, b: 1 }, at);
      await change(10, 'deleted', null, at);
      await change(11, 'deleted', { a: 2 }, at);
      expect(await prune()).toEqual({ [`row-changes:${TYPE}`]: 3 });
      expect(await left()).toEqual([1, 2, 3, 4, 5, 6, 8, 11]);
      expect(await prune()).toEqual({});
    });

    it('are examined a bounded number at a time, each once, and no further than the age', async () => {
      await db.execute(sql`insert into millrace.events (seq, source, id, type, data, occurred_at, recorded_at, batch)
        select n, '/millrace/rows', n::text, ${TYPE}, jsonb_build_object('key', (n % 10)::text, 'row', '{}'::jsonb), at, at, gen_random_uuid()
        from generate_series(1, 60) as n, lateral (select '2026-01-01T00:00:00Z'::timestamptz + make_interval(mins => n::int) as at) as m`);
      const pass = async () => {
        const { rows } = await db.execute(
          pruneRowChanges(TYPE, sql`'2026-01-01T00:55:30Z'::timestamptz`, 50),
        );
        return Number(rows[0]?.['gone']);
      };
      expect([await pass(), await pass(), await pass()]).toEqual([40, 5, 0]);
      expect(await left()).toEqual([46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60]);
    });
  });

  it('reads a part of history by time and type, page by page in the order of numbers', async () => {
    await event(1, 'a', '2026-01-01T00:00:00Z');
    await event(2, 'a', '2026-01-03T00:00:00Z');
    // Its transaction began before that of the one above, and ended later.
    await event(3, 'b', '2026-01-02T00:00:00Z');
    await event(4, 'a', '2026-01-02T00:00:00Z');
    const range = { from: '2026-01-02T00:00:00Z', to: '2026-01-03T00:00:00Z' };
    expect(await boundsOf(db, range)).toEqual({ firstSeq: 3, lastSeq: 4, events: 2 });
    const first = await readHistory(db, range, { after: 2, lastSeq: 4, limit: 1 });
    expect(first).toEqual([{ seq: 3, type: 'b', occurredAt: Date.UTC(2026, 0, 2), data: {} }]);
    const typed = { ...range, types: ['a'] };
    expect((await readHistory(db, typed, { after: 2, lastSeq: 4, limit: 9 })).map(({ seq }) => seq)).toEqual([
      4,
    ]);
    expect(await boundsOf(db, { types: ['c'] })).toEqual({ firstSeq: 0, lastSeq: 0, events: 0 });
  });
}

describe('retention and history on PGlite', () => {
  keepsAndPrunes(async () => {
    const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    return { database, stop: () => database.close() };
  });
});

describe.skipIf(!POSTGRES_URL)(`retention and history on ${POSTGRES_TITLE}`, () => {
  const name = `retention_${process.pid}`;

  keepsAndPrunes(async () => {
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

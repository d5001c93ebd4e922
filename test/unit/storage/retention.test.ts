import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { boundsOf, readHistory } from '../../../src/storage/postgres/history.ts';
import { pruneOld, readPruned } from '../../../src/storage/postgres/retention.ts';
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
  }, 120_000);
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

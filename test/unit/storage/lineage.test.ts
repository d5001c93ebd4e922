import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { emptyRun, endedIngestRuns, RUN_WINDOW_MS } from '../../../src/pipeline/lineage/runs.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { type StorableEvent, storeEvents } from '../../../src/storage/postgres/event-store.ts';
import { readLineageEvents, readRun } from '../../../src/storage/postgres/lineage-read.ts';
import {
  endTraining,
  type PredictionRecord,
  recordLineage,
  startTraining,
} from '../../../src/storage/postgres/lineage-runs.ts';
import {
  LINEAGE_KEEP_DAYS,
  sweepLineage,
  TRAINING_KEEP_DAYS,
} from '../../../src/storage/postgres/lineage-sweep.ts';
import { changeAlias, registerVersion } from '../../../src/storage/postgres/model-versions.ts';
import { purchase } from '../../support/catalog/events.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { runsOf } from '../../support/node/part.ts';
import { eventually } from '../../support/node/stack.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';
const INGEST = { job: 'ingest', subject: '', version: '' } as const;
const FOLD = { job: 'fold', subject: '', version: '' } as const;
const START = { tx: 0, seq: 0 };
/** A minute long gone, and a moment at which its run is over. */
const AT = Date.parse('2026-01-01T10:00:20Z');
const iso = (at: number) => new Date(at).toISOString();
const OVER = AT + 3 * RUN_WINDOW_MS;

let nextId = 0;
function storable(quantity = 1): StorableEvent {
  nextId += 1;
  const data = {
    invoice: '1',
    sku: 'S1',
    description: null,
    quantity,
    unitPrice: 1,
    customerId: 'c1',
    country: 'UK',
  };
  const meaning = purchase.interpret(data, { occurredAt: AT, now: AT });
  if (!meaning.ok) throw new Error('The event keeps no contract.');
  const { effects, tags } = meaning;
  const event = {
    source: `/till/${nextId % 2}`,
    id: String(nextId),
    type: purchase.type,
    subject: null,
    time: iso(AT),
  };
  return { ...event, data, effects, tags };
}

/** @returns the database, once the tests run. */
function keepsLineage(start: () => Promise<{ database: DevDatabase; stop: () => Promise<void> }>) {
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
      sql`truncate millrace.lineage_tallies, millrace.lineage_runs, millrace.lineage_events, millrace.lineage_predictions, millrace.events, millrace.outbox, purchases`,
    );
  });

  /** Straight from the tables: other databases of the same server hold back what readers may see. */
  const all = async () => {
    const { rows } = await db.execute(
      sql`select is_end as "isEnd", run_id as id, state from millrace.lineage_events join millrace.lineage_runs on id = run_id order by seq`,
    );
    return z.array(z.object({ isEnd: z.boolean(), id: z.string(), state: z.string() })).parse(rows);
  };
  /** Stores events as if it had been then. */
  const store = async (count: number, at: number) => {
    await storeEvents(
      db,
      Array.from({ length: count }, () => storable()),
      crypto.randomUUID(),
    );
    await db.execute(
      sql`update millrace.events set recorded_at = ${iso(at)} where recorded_at > '2026-06-01'`,
    );
  };
  const sweep = async (now: number) => await sweepLineage(db, await endedIngestRuns(now), iso(now));
  const prediction = (at: number): PredictionRecord => ({
    id: crypto.randomUUID(),
    at: iso(at),
    model: 'ranker',
    version: '0123456789ab',
    entity: 'customer',
    key: 'c1',
    features: { purchases_30d: 1 },
    items: 10,
    source: 'model',
    degraded: null,
  });

  it('adds up the reports of isolates for a minute, in one run with one start', async () => {
    const fold = await emptyRun(FOLD, AT);
    await recordLineage(db, [{ ...fold, counts: { events: 2, keys: 1 }, firstSeq: 5, lastSeq: 9 }], [], 3);
    await recordLineage(
      db,
      [{ ...fold, counts: { events: 3, failures: 1 }, firstSeq: 3, lastSeq: 4 }],
      [],
      3,
    );
    expect(await readRun(db, fold.id)).toMatchObject({
      state: 'RUNNING',
      counts: { events: 5, keys: 1, failures: 1 },
      first_seq: 3,
      last_seq: 9,
    });
    expect(await all()).toEqual([{ isEnd: false, id: fold.id, state: 'RUNNING' }]);
  });

  it('adds up the tallies of all shards, and keeps none once the run has ended', async () => {
    const fold = await emptyRun(FOLD, AT);
    for (let shard = 0; shard < 16; shard += 1)
      await recordLineage(
        db,
        [{ ...fold, counts: { events: 2 }, firstSeq: shard, lastSeq: shard }],
        [],
        shard,
      );
    const added = { counts: { events: 32 }, first_seq: 0, last_seq: 15 };
    expect(await readRun(db, fold.id)).toMatchObject({ state: 'RUNNING', ...added });
    await sweep(OVER);
    expect(await readRun(db, fold.id)).toMatchObject({ state: 'COMPLETE', ...added });
    expect((await db.execute(sql`select * from millrace.lineage_tallies`)).rows).toEqual([]);
  });

  it('takes a second report without counts', async () => {
    const run = await emptyRun(INGEST, AT);
    expect(await recordLineage(db, [run], [], 3)).toBe(1);
    expect(await recordLineage(db, [run], [], 3)).toBe(1);
    expect(await readRun(db, run.id)).toMatchObject({ counts: {} });
  });

  it('adds to a run that an earlier release has reported in its row', async () => {
    const run = { ...(await emptyRun(INGEST, AT)), counts: { received: 4 }, firstSeq: 3, lastSeq: 4 };
    await recordLineage(db, [run], [], 3);
    await db.execute(sql`update millrace.lineage_runs set counts = '{"received": 5}', first_seq = 1`);
    expect(await readRun(db, run.id)).toMatchObject({ counts: { received: 9 }, first_seq: 1, last_seq: 4 });
    await sweep(OVER);
    expect(await readRun(db, run.id)).toMatchObject({ counts: { received: 9, stored: 0 }, first_seq: 1 });
  });

  it('ends a run after its minute, and ignores later reports', async () => {
    const run = { ...(await emptyRun(INGEST, AT)), counts: { received: 4, duplicates: 1, stored: 1 } };
    await recordLineage(db, [run], [prediction(AT)], 3);
    await store(3, AT);
    await store(1, AT + RUN_WINDOW_MS);
    expect(await sweep(AT)).toMatchObject({ begun: 0, ended: 0 });
    // The events of the minute after were never reported, because their isolate died.
    expect(await sweep(OVER)).toEqual({ begun: 1, ended: 2, aborted: 0, pruned: 0 });
    expect(await sweep(OVER)).toEqual({ begun: 0, ended: 0, aborted: 0, pruned: 0 });
    expect(await recordLineage(db, [run], [], 3)).toBe(0);
    const ended = await readRun(db, run.id);
    expect(ended).toMatchObject({
      state: 'COMPLETE',
      ended_at: '2026-01-01T10:01:00.000Z',
      counts: { received: 4, duplicates: 1, stored: 3 },
      detail: { pairs: 2 },
    });
    const sources = ended?.detail['sources'] as { source: string; type: string; events: number }[];
    expect(sources.map(({ events }) => events)).toEqual([2, 1]);
    const missed = await emptyRun(INGEST, AT + RUN_WINDOW_MS);
    expect(await readRun(db, missed.id)).toMatchObject({ state: 'COMPLETE', counts: { stored: 1 } });
    const events = await all();
    expect(events).toHaveLength(4);
    for (const { id } of [run, missed]) {
      expect(events.filter((event) => event.id === id).map(({ isEnd }) => isEnd)).toEqual([false, true]);
    }
  });

  it('fails a run with only failures', async () => {
    const failed = { ...(await emptyRun(INGEST, AT)), counts: { failures: 2 } };
    const retried = { ...(await emptyRun(FOLD, AT)), counts: { failures: 1, events: 3 } };
    await recordLineage(db, [failed, retried], [], 3);
    await sweep(OVER);
    expect(await readRun(db, failed.id)).toMatchObject({ state: 'FAIL' });
    expect(await readRun(db, retried.id)).toMatchObject({ state: 'COMPLETE' });
  });

  it('has one start and one end of each run, for any order of reports', async () => {
    const minutes = [AT, AT + RUN_WINDOW_MS, AT + 2 * RUN_WINDOW_MS];
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('tell' as const),
        minute: fc.nat(2),
        by: fc.integer({ min: 1, max: 5 }),
      }),
      fc.record({
        kind: fc.constant('store' as const),
        minute: fc.nat(2),
        by: fc.integer({ min: 1, max: 3 }),
      }),
      fc.record({ kind: fc.constant('sweep' as const), minute: fc.nat(5), by: fc.constant(1) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await db.execute(
          sql`truncate millrace.lineage_tallies, millrace.lineage_runs, millrace.lineage_events, millrace.events, millrace.outbox, purchases`,
        );
        for (const { kind, minute, by } of steps) {
          const at = minutes[minute] ?? AT + minute * RUN_WINDOW_MS;
          if (kind === 'tell')
            await recordLineage(db, [{ ...(await emptyRun(INGEST, at)), counts: { received: by } }], [], 3);
          else if (kind === 'store') await store(by, at);
          else await sweep(at);
        }
        await sweep(AT + 10 * RUN_WINDOW_MS);
        const events = await all();
        const byRun = Map.groupBy(events, ({ id }) => id);
        for (const [id, of] of byRun) {
          expect({ id, ends: of.map(({ isEnd }) => isEnd) }).toEqual({ id, ends: [false, true] });
          expect(of[0]?.state).toBe('COMPLETE');
        }
        const touched = steps.filter(({ kind }) => kind !== 'sweep').map(({ minute }) => minute);
        expect(byRun.size).toBe(new Set(touched).size);
      }),
      { numRuns: runsOf(25) },
    );
  });

  it('begins and ends a training once, even if its start was lost or its end is reported twice', async () => {
    const id = crypto.randomUUID();
    const start = { id, model: 'ranker', startedAt: iso(AT), dueAt: iso(AT + 1_000) };
    const end = {
      ...start,
      state: 'COMPLETE',
      endedAt: iso(AT + 500),
      version: '0123456789ab',
      firstSeq: 1,
      lastSeq: 2,
      counts: { rows: 2 },
      detail: { sha256: 'a' },
    } as const;
    expect(await startTraining(db, start)).toBe('RUNNING');
    expect(await startTraining(db, start)).toBe('RUNNING');
    expect(await endTraining(db, end)).toBe('COMPLETE');
    expect(await endTraining(db, { ...end, state: 'FAIL' })).toBe('COMPLETE');
    expect(await startTraining(db, start)).toBe('COMPLETE');
    const lost = { ...end, id: crypto.randomUUID() };
    expect(await endTraining(db, lost)).toBe('COMPLETE');
    const dead = { ...start, id: crypto.randomUUID() };
    await startTraining(db, dead);
    expect(await sweep(OVER)).toMatchObject({ ended: 0, aborted: 1 });
    expect(await endTraining(db, { ...end, id: dead.id })).toBe('ABORT');
    const byRun = Map.groupBy(await all(), (event) => event.id);
    for (const run of [id, lost.id, dead.id])
      expect(byRun.get(run)?.map(({ isEnd }) => isEnd)).toEqual([false, true]);
    expect(byRun.get(dead.id)?.[1]?.state).toBe('ABORT');
  });

  it('prunes old runs and predictions, and keeps trainings', async () => {
    const training = { id: crypto.randomUUID(), model: 'ranker', startedAt: iso(AT), dueAt: iso(OVER) };
    await startTraining(db, training);
    await recordLineage(db, [await emptyRun(FOLD, AT)], [prediction(AT)], 3);
    const later = AT + (LINEAGE_KEEP_DAYS + 1) * 86_400_000;
    expect(await sweep(later)).toEqual({ begun: 0, ended: 1, aborted: 1, pruned: 2 });
    expect((await all()).map(({ id }) => id)).toEqual([training.id, training.id]);
  });

  it('prunes trainings and changes of the registry later, but none of a version that an alias names', async () => {
    await db.execute(sql`truncate millrace.model_versions, millrace.model_aliases, millrace.model_rollouts`);
    for (const version of ['a', 'b']) {
      await registerVersion(
        db,
        { ...{ model: 'm', version, manifest: '{}', card: '', measured: {} } },
        'key:a',
      );
      const training = { id: crypto.randomUUID(), model: 'm', startedAt: iso(AT), dueAt: iso(OVER) };
      const facts = { version, firstSeq: null, lastSeq: null, counts: {}, detail: {} };
      await endTraining(db, { ...training, ...facts, state: 'COMPLETE', endedAt: iso(AT) });
      const target = {
        model: 'm',
        alias: 'champion',
        version,
        expected: undefined,
        reason: 'promote',
      } as const;
      await changeAlias(db, target, { principal: 'key:a', tags: [] });
    }
    await db.execute(sql`update millrace.lineage_runs set started_at = ${iso(AT)}, ended_at = ${iso(AT)}`);
    expect((await sweep(AT + (LINEAGE_KEEP_DAYS + 1) * 86_400_000)).pruned).toBe(0);
    // The training, the registration and the promotion of the version that no alias names.
    expect((await sweep(AT + (TRAINING_KEEP_DAYS + 1) * 86_400_000)).pruned).toBe(3);
    const { rows } = await db.execute(sql`select distinct version from millrace.lineage_runs`);
    expect(rows).toEqual([{ version: 'b' }]);
  });

  return () => db;
}

describe('lineage on PGlite', () => {
  keepsLineage(async () => {
    const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    return { database, stop: () => database.close() };
  });
});

describe.skipIf(!POSTGRES_URL)(`lineage on ${POSTGRES_TITLE}`, () => {
  const name = `millrace_lineage_${process.pid}`;
  const url = new URL(POSTGRES_URL ?? 'postgres://none');
  url.pathname = `/${name}`;

  const tested = keepsLineage(async () => {
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

  it('lets isolates of other shards report while one has not committed, and ends the run after it', async () => {
    const db = tested();
    const slow = new pg.Client(url.href);
    const run = { ...(await emptyRun(FOLD, AT)), counts: { events: 1 } };
    const sweep = async () => await sweepLineage(db, [], iso(OVER));
    try {
      await slow.connect();
      await recordLineage(db, [run], [], 0);
      // The statements of a report of shard 0, in a transaction that stays open.
      await slow.query('begin');
      await slow.query(`select 1 from millrace.lineage_runs where id = '${run.id}' for key share`);
      await slow.query(`update millrace.lineage_tallies set counts = '{"events": 5}' where shard = 0`);
      expect(await recordLineage(db, [run], [], 1)).toBe(1);
      expect(await sweep()).toMatchObject({ ended: 0 });
      await slow.query('commit');
      expect(await sweep()).toMatchObject({ ended: 1 });
      expect(await readRun(db, run.id)).toMatchObject({ state: 'COMPLETE', counts: { events: 6 } });
    } finally {
      await slow.end();
    }
  });

  it('returns no run event before an earlier one is committed', async () => {
    const [early, late] = [new pg.Client(url.href), new pg.Client(url.href)];
    const database = await startDevDatabase({ databaseUrl: url.href, migrationsDir: FIXTURE.migrationsDir });
    const db = connect({ url: database.connectionString, endpoint: database.endpoint });
    try {
      await Promise.all([early.connect(), late.connect()]);
      await early.query('truncate millrace.lineage_tallies, millrace.lineage_runs, millrace.lineage_events');
      const insert = (id: string) => `
        with run as (
          insert into millrace.lineage_runs (id, job, subject, version, state, started_at, due_at, counts, detail)
          values ('${id}', 'train', 'ranker', '', 'RUNNING', now(), now(), '{}', '{}') returning id
        ) insert into millrace.lineage_events (run_id, is_end) select id, false from run`;
      const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
      const read = async (after: { tx: number; seq: number }) => await readLineageEvents(db, after, 100);
      await early.query('begin');
      await early.query(insert(first));
      await late.query(insert(second));
      expect(await read(START)).toEqual([]);
      await early.query('commit');
      const seen = await eventually(
        () => read(START),
        (events) => events.length === 2,
      );
      expect(seen.map(({ run }) => run.id)).toEqual([first, second]);
      expect(await read(seen[1]?.cursor ?? START)).toEqual([]);
    } finally {
      await Promise.all([early.end(), late.end()]);
      await database.close();
    }
  });
});

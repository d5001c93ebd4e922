import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { type ScoredStorePorts, scoredStore, scorePending } from '../../../src/pipeline/quality/scorer.ts';
import { addTallies, EMPTY_TALLY, type ScoreBatch } from '../../../src/pipeline/quality/tally.ts';
import { storeMessages } from '../../../src/pipeline/store.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { newId } from '../../../src/platform/ids.ts';
import { classifyFault, connect } from '../../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../../src/storage/postgres/event-store.ts';
import { judgeStored } from '../../../src/storage/postgres/quality-checks.ts';
import { readBatch, readPending, settlePending } from '../../../src/storage/postgres/quality-pending.ts';
import { keepRefused } from '../../../src/storage/postgres/quarantine.ts';
import { catalog } from '../../support/catalog/index.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';
const PURCHASE = 'shop.purchase.v1';
const TIME = '2026-11-01T10:00:00Z';

const line = (over: object = {}) => ({
  ...{ invoice: '1', sku: '85123A', description: 'A heart', quantity: 6, unitPrice: 2.55 },
  ...{ customerId: '17850', country: 'EIRE', ...over },
});
const accepted = (id: string, data: unknown = line({ invoice: id }), type = PURCHASE, time = TIME) => ({
  ...{ source: '/test', id, type, subject: null, time, data },
});

/** Counts like the object does: a transaction once. */
class Counter {
  readonly batches = new Map<string, ScoreBatch>();
  isAway = false;

  readonly send = async (batch: ScoreBatch): Promise<void> => {
    if (this.isAway) throw new Error('The object does not answer.');
    if (!this.batches.has(batch.id)) this.batches.set(batch.id, batch);
  };
  of(type: string) {
    return [...this.batches.values()].reduce(
      (sum, { types }) => addTallies(sum, types[type] ?? EMPTY_TALLY),
      EMPTY_TALLY,
    );
  }
  rule(rule: string, type = PURCHASE) {
    const { judged = 0, failed = 0 } = this.of(type).rules[rule] ?? {};
    return `${failed} of ${judged}`;
  }
}

function scoresWhatIsStored(start: () => Promise<{ database: DevDatabase; stop: () => Promise<void> }>) {
  let database: DevDatabase;
  let stop: () => Promise<void>;
  let db: ReturnType<typeof connect>;
  let counter: Counter;
  let work: Promise<unknown>[] = [];
  beforeAll(async () => {
    ({ database, stop } = await start());
    db = connect({ url: database.connectionString, endpoint: database.endpoint });
  });
  afterAll(() => stop());
  beforeEach(async () => {
    counter = new Counter();
    work = [];
    await db.execute(
      'truncate millrace.events, millrace.outbox, millrace.quarantine, millrace.quality_pending, purchases, product_views, products, customers',
    );
  });

  const ports = (): ScoredStorePorts => ({
    types: catalog.eventTypes,
    judgeStored: (rules, batch) => judgeStored(db, rules, batch),
    send: counter.send,
    storeEvents: (events, batch) => storeEvents(db, events, batch),
    keepRefused: (refused, batch) => keepRefused(db, refused, batch),
    newId,
    now: () => Date.parse(TIME),
    keepAlive: (promise) => void work.push(promise),
  });
  type Ports = ReturnType<typeof ports>;
  const store = async (
    events: ReturnType<typeof accepted>[],
    refused: { raw: unknown; reason: string; pointer: string; detail: string }[] = [],
    over: Partial<Ports> = {},
  ) => {
    const scored = scoredStore({ ...ports(), ...over });
    const message = { v: 1 as const, receivedAt: Date.parse(TIME), accepted: events, refused };
    const outcome = await storeMessages([message], {
      types: catalog.eventTypes,
      ...scored,
      classifyFault,
      fingerprint: sha256Hex,
    });
    await Promise.all(work);
    return outcome;
  };
  const settle = async (over: { now?: () => number } = {}) => {
    await db.execute("update millrace.quality_pending set recorded_at = recorded_at - interval '2 minutes'");
    return await scorePending({
      ...ports(),
      now: Date.now,
      readPending: (limits) => readPending(db, limits),
      uncounted: async (ids) => ids.filter((id) => !counter.batches.has(id)),
      readBatch: (batch) => readBatch(db, batch),
      settle: (ids) => settlePending(db, ids),
      ...over,
    });
  };
  const pending = async () => (await db.execute('select batch from millrace.quality_pending')).rows.length;

  it('counts each new event, and no known one, from any sender', async () => {
    const refused = { raw: { a: 1 }, reason: 'invalid_event', pointer: '', detail: '' };
    await store([accepted('1'), accepted('2'), accepted('2')], [refused]);
    await store([accepted('2'), accepted('3')], [refused]);
    expect(counter.of(PURCHASE)).toMatchObject({ events: 3, refused: 0 });
    expect(counter.of('(unrecognised)')).toMatchObject({ events: 1, refused: 1 });
    await store([accepted('3', line({ invoice: 'other' }))]);
    expect(counter.of(PURCHASE)).toMatchObject({ events: 4, refused: 1 });
    expect(counter.rule('conflicting_duplicate')).toBe('1 of 4');
    // Nothing new, nothing to count.
    const batches = counter.batches.size;
    await store([accepted('1'), accepted('2')], [refused]);
    expect(counter.batches.size).toBe(batches);
  });

  it('finds rows that repeat an earlier row within the time, and counts only the later one', async () => {
    const at = (minutes: number) => new Date(Date.parse(TIME) + minutes * 60_000).toISOString();
    const same = line({ invoice: 'same' });
    const anonymous = line({ invoice: 'anonymous', customerId: null });
    await store([
      accepted('1', same, PURCHASE, at(-30)),
      accepted('2', same, PURCHASE, at(-39)),
      accepted('3', anonymous),
    ]);
    expect(counter.rule('line_sent_twice')).toBe('1 of 3');
    await store([
      accepted('4', same, PURCHASE, at(-20)),
      accepted('5', same, PURCHASE, at(-9)),
      accepted('6', line({ invoice: 'same', quantity: 7 })),
      accepted('7', anonymous),
    ]);
    expect(counter.rule('line_sent_twice')).toBe('3 of 7');
  });

  it('finds rows that refer to a missing entity', async () => {
    const view = 'shop.product-view.v2';
    await store([accepted('1')]);
    await store([
      accepted('v1', { sku: '85123A', customerId: '17850' }, 'shop.product-view.v1'),
      accepted('v2', { sku: '85123A', customerId: 'nobody', device: 'phone' }, view),
      accepted('v3', { sku: 'nothing', device: 'phone' }, view),
    ]);
    expect(counter.rule('product_unknown', view)).toBe('1 of 3');
    expect(counter.rule('customer_unknown', view)).toBe('1 of 2');
  });

  it('stores while the counter is unavailable, and counts the same from the database later', async () => {
    const events = Array.from({ length: 230 }, (_, n) => accepted(`${n}`, line({ invoice: `${n % 200}` })));
    const refused = Array.from({ length: 205 }, (_, n) => ({
      raw: { type: PURCHASE, time: TIME, data: line({ quantity: -n }) },
      ...{ reason: 'quantity_not_positive', pointer: '/data/quantity', detail: '' },
    }));
    counter.isAway = true;
    const outcome = await store(events, refused);
    expect(outcome).toEqual({ duplicates: [], conflicts: [], refused: [] });
    expect(counter.batches.size).toBe(0);
    expect(await pending()).toBe(2);
    counter.isAway = false;
    expect(await settle()).toBe(2);
    expect(await pending()).toBe(0);
    expect(counter.of(PURCHASE)).toMatchObject({ events: 435, refused: 205 });
    expect(counter.rule('line_sent_twice')).toBe('30 of 230');
    expect(counter.rule('quantity_not_positive')).toBe('205 of 435');
    const late = counter.of(PURCHASE);
    // The same, counted behind the commit.
    counter = new Counter();
    await db.execute(
      'truncate millrace.events, millrace.outbox, millrace.quarantine, millrace.quality_pending, purchases',
    );
    await store(events, refused);
    // What is judged against the time of storing differs: that is another time now.
    const timeless = ({ rules: { arrived_late: _, ...rules }, ...rest }: typeof late) => ({ ...rest, rules });
    expect(timeless(counter.of(PURCHASE))).toEqual(timeless(late));
  });

  it('skips transactions that are counted, and those that their worker may still count', async () => {
    await store([accepted('1')]);
    expect(await pending()).toBe(1);
    const before = counter.of(PURCHASE);
    const young = await readPending(db, { graceMs: 60_000, limit: 10 });
    expect(young).toEqual([]);
    expect(await settle()).toBe(0);
    expect(await pending()).toBe(0);
    expect(counter.of(PURCHASE)).toEqual(before);
  });

  it('records nothing for a transaction that fails or has no new event', async () => {
    await store([accepted('1')]);
    await store([accepted('1')]);
    expect(await pending()).toBe(1);
    const storeEventsFailing = async () => {
      throw new Error('The database is away.');
    };
    await expect(store([accepted('2')], [], { storeEvents: storeEventsFailing })).rejects.toThrow();
    expect(await pending()).toBe(1);
  });

  it('settles all transactions, page by page', async () => {
    const { rows } = await db.execute(
      'insert into millrace.quality_pending (batch) select gen_random_uuid() from generate_series(1, 1150) returning batch',
    );
    // A thousand are counted already; of the others, which hold nothing, a pass takes a hundred.
    for (const { batch } of rows.slice(150))
      counter.batches.set(String(batch), { id: String(batch), atMs: 0, types: {} });
    expect(await settle()).toBe(100);
    expect(await settle()).toBe(50);
    expect(await pending()).toBe(0);
  });

  it('gives up transactions older than a day, and settles them', async () => {
    counter.isAway = true;
    await store([accepted('1')]);
    counter.isAway = false;
    expect(await settle({ now: () => Date.now() + 25 * 3_600_000 })).toBe(0);
    expect(counter.batches.size).toBe(0);
    expect(await pending()).toBe(0);
  });
}

describe('scoring on PGlite', () => {
  scoresWhatIsStored(async () => {
    const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    return { database, stop: () => database.close() };
  });
});

describe.skipIf(!POSTGRES_URL)(`scoring on ${POSTGRES_TITLE}`, () => {
  scoresWhatIsStored(async () => {
    const admin = new pg.Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    const name = `millrace_quality_${process.pid}`;
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

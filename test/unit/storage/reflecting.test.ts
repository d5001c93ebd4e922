import { count, eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { type AsOfPorts, EndedEpochs, InvalidatedChanges, loadAsOf } from '../../../src/cache/as-of.ts';
import { type Clock, invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { tagHashes } from '../../../src/cache/clock/tag-hash.ts';
import type { Database, Loaded } from '../../../src/define/view.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { classifyFault, connect } from '../../../src/storage/postgres/connect.ts';
import { markRelayed, readPending } from '../../../src/storage/postgres/outbox.ts';
import { REPORT_PENDING_MAX, reflect } from '../../../src/storage/postgres/reflecting.ts';
import { products, purchases } from '../../support/catalog/tables.ts';
import { customerPage, customerPurchases, productList, productPage } from '../../support/catalog/views.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const EPOCH = '0f';

let database: DevDatabase;
let db: ReturnType<typeof connect>;
let clock: Clock;
/** The tags of each invalidation at the root. */
let invalidations: (readonly string[])[];
let known: InvalidatedChanges;

beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await db.batch([
    db.insert(products).values([
      { sku: 'A1', description: 'Quoted "x", {y}', unitPrice: 1.25 },
      { sku: 'B2', description: null, unitPrice: 12345.6789 },
    ]),
    db.execute(sql`insert into customers (id, country) values ('c', 'Ελλάδα')`),
    db.insert(purchases).values(
      ['A1', 'A1', 'B2'].map((sku, eventSeq) => ({
        eventSeq,
        invoice: String(eventSeq),
        sku,
        customerId: 'c',
        quantity: 2 + eventSeq,
        unitPrice: 0.1,
        country: 'Ελλάδα',
        occurredAt: `2026-01-0${eventSeq + 1}T10:00:00.123Z`,
      })),
    ),
  ]);
});
afterAll(async () => {
  await database.close();
});
beforeEach(async () => {
  await db.execute(sql`delete from millrace.outbox`);
  await db.execute(sql`delete from millrace.epochs`);
  clock = newClock(EPOCH);
  invalidations = [];
  known = new InvalidatedChanges();
});

/** What a committed transaction leaves in the outbox; returns the rows' ids. */
async function commit(...changes: string[][]): Promise<number[]> {
  const { rows } = await db.execute(sql`
    insert into millrace.outbox (tags)
    select array(select jsonb_array_elements_text(value)) from jsonb_array_elements(${JSON.stringify(changes)}::jsonb)
    returning id`);
  return rows.map(({ id }) => Number(id));
}

function portsOf(changed: Partial<AsOfPorts> = {}): AsOfPorts {
  return {
    epoch: EPOCH,
    reflection: reflect(db.$client, EPOCH),
    invalidated: known,
    ended: new EndedEpochs(),
    currentEpoch: async () => EPOCH,
    invalidate: async (tags) => {
      invalidations.push(tags);
      return { epoch: EPOCH, seq: invalidate(clock, tagHashes(tags)) };
    },
    withTimeout,
    ...changed,
  };
}

const A1 = ['product:A1', 'purchase@product:A1'];
const asked = (input: object) => ({ input, variant: {}, principal: undefined, now: 0, features: {} });
const loadA1 = (reflecting: Database) => productPage.load(reflecting, asked({ sku: 'A1' }));

describe('an answer is as of', () => {
  it('the invalidation, by its reader, of pending changes that touch it', async () => {
    const [touching] = await commit(['product:A1', 'product'], ['product:B2']);
    const loaded = await loadAsOf(loadA1, portsOf());
    expect(loaded.asOf).toEqual({ epoch: EPOCH, seq: 1 });
    expect(invalidations).toEqual([['product:A1', 'product']]);
    // The relay still has to publish it.
    expect((await readPending(db, { limit: 10 })).changes).toHaveLength(2);
    expect(known.seqOf(touching ?? 0, EPOCH)).toBe(1);
    // The isolate knows it now.
    expect((await loadAsOf(loadA1, portsOf())).asOf).toEqual({ epoch: EPOCH, seq: 1 });
    expect(invalidations).toHaveLength(1);
  });

  it('the newest invalidation of a relayed change of this epoch', async () => {
    const [first = 0, second = 0, third = 0] = await commit(A1, ['product:B2'], A1);
    expect((await loadAsOf(loadA1, portsOf({ invalidated: new InvalidatedChanges() }))).asOf?.seq).toBe(1);
    await markRelayed(db, [first], { epoch: EPOCH, seq: 7 });
    await markRelayed(db, [second], { epoch: EPOCH, seq: 12 });
    await markRelayed(db, [third], { epoch: 'another', seq: 99 });
    expect((await loadAsOf(loadA1, portsOf())).asOf).toEqual({ epoch: EPOCH, seq: 12 });
    expect(invalidations).toHaveLength(1);
  });

  it('no moment if no change was relayed in this epoch and no pending change touches it', async () => {
    const [relayed = 0] = await commit(A1, ['product:B2']);
    await markRelayed(db, [relayed], { epoch: 'another', seq: 99 });
    expect(await loadAsOf(loadA1, portsOf())).not.toHaveProperty('asOf');
    expect(invalidations).toEqual([]);
  });

  it('an unknown moment if a change was relayed in an epoch that the root has now, and is not stored', async () => {
    const [relayed = 0] = await commit(A1);
    await markRelayed(db, [relayed], { epoch: 'newer', seq: 1 });
    const loaded = await loadAsOf(loadA1, portsOf({ currentEpoch: async () => 'newer' }));
    expect(loaded).toMatchObject({ asOf: null, storable: false });
    const away = portsOf({ currentEpoch: () => Promise.reject(new Error('The network is down.')) });
    expect(await loadAsOf(loadA1, away)).toMatchObject({ asOf: null, storable: false });
  });

  it('known although changes were relayed in epochs that have ended, and the root is asked once', async () => {
    const [relayed = 0, own = 0] = await commit(A1, ['product:B2']);
    await markRelayed(db, [relayed], { epoch: 'older', seq: 7 });
    await markRelayed(db, [own], { epoch: EPOCH, seq: 3 });
    let asked = 0;
    const ports = portsOf({
      currentEpoch: async () => {
        asked += 1;
        return EPOCH;
      },
    });
    for (let read = 0; read < 3; read += 1)
      expect((await loadAsOf(loadA1, ports)).asOf).toEqual({ epoch: EPOCH, seq: 3 });
    expect(asked).toBe(1);
  });

  it('the invalidation alone if the clock was recreated meanwhile', async () => {
    const [relayed = 0] = await commit(['product:B2'], A1);
    await markRelayed(db, [relayed], { epoch: EPOCH, seq: 40 });
    const renewed = { epoch: 'new', seq: 1 };
    expect((await loadAsOf(loadA1, portsOf({ invalidate: async () => renewed }))).asOf).toEqual(renewed);
  });

  it('an unknown moment while the clock is unavailable, and is not stored', async () => {
    await commit(A1);
    const invalidate = () => Promise.reject(new Failure('clock_unavailable', 'away'));
    const loaded = await loadAsOf(loadA1, portsOf({ invalidate }));
    expect(loaded).toMatchObject({ value: { sku: 'A1' }, storable: false, asOf: null });
  });
});

describe('with a long backlog', () => {
  const others = Array.from({ length: REPORT_PENDING_MAX + 1 }, (_, index) => [`product:X${index}`]);

  it('an answer that no pending change touches invalidates nothing', async () => {
    await commit(...others);
    const [relayed = 0] = await commit(['product:X']);
    await markRelayed(db, [relayed], { epoch: EPOCH, seq: 3 });
    expect((await loadAsOf(loadA1, portsOf())).asOf).toEqual({ epoch: EPOCH, seq: 3 });
    expect(invalidations).toEqual([]);
  });

  it('finds a change that touches the answer behind all others', async () => {
    await commit(...others, ['tag with "quotes", {braces}', 'product:A1']);
    expect((await loadAsOf(loadA1, portsOf())).asOf?.seq).toBe(1);
    expect(invalidations).toEqual([['tag with "quotes", {braces}', 'product:A1']]);
  });

  it('an answer that every pending change touches invalidates its own tags', async () => {
    await commit(...others.map(() => ['product:A1', 'other']));
    expect((await loadAsOf(loadA1, portsOf())).asOf?.seq).toBe(1);
    expect(new Set(invalidations[0])).toEqual(new Set([...A1, 'other']));
  });
});

describe('several round trips of one answer', () => {
  const loadedBy = (load: (reflecting: Database) => Promise<unknown>) => async (reflecting: Database) => {
    await load(reflecting);
    return { value: {}, tags: A1, storable: true } satisfies Loaded;
  };

  it('one after the other: the last report counts for all', async () => {
    const [first = 0] = await commit(A1);
    const load = loadedBy(async (reflecting) => {
      await reflecting.select().from(products);
      await markRelayed(db, [first], { epoch: EPOCH, seq: 5 });
      await reflecting.select().from(products);
    });
    expect((await loadAsOf(load, portsOf())).asOf?.seq).toBe(5);
    expect(invalidations).toEqual([]);
  });

  it('at the same time: each report counts, in any order of answers', async () => {
    const answered = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    let calls = 0;
    /** Holds the answer to the first round trip back, which the database gave before all others. */
    const transaction = async (...given: Parameters<typeof db.$client.transaction>) => {
      calls += 1;
      const isFirst = calls === 1;
      const results = await db.$client.transaction(...given);
      answered.resolve();
      if (isFirst) await released.promise;
      return results;
    };
    const client = new Proxy(db.$client, {
      get: (target, name) => (name === 'transaction' ? transaction : Reflect.get(target, name)),
    });
    const load = loadedBy(async (reflecting) => {
      const first = reflecting.select().from(products).execute();
      await answered.promise;
      await commit(A1);
      await reflecting.select().from(products);
      released.resolve();
      await first;
    });
    expect((await loadAsOf(load, portsOf({ reflection: reflect(client, EPOCH) }))).asOf?.seq).toBe(1);
  });

  it('none: there is no report', async () => {
    await commit(A1);
    expect(
      await loadAsOf(
        loadedBy(async () => undefined),
        portsOf(),
      ),
    ).not.toHaveProperty('asOf');
  });
});

describe('a reflecting database', () => {
  const reflecting = () => reflect(db.$client, EPOCH).db;

  it('returns the same answer for every view', async () => {
    const loads = (of: Database) =>
      Promise.all([
        productPage.load(of, asked({ sku: 'A1' })),
        productPage.load(of, asked({ sku: 'none' })),
        productList.load(of, asked({ limit: 2 })),
        customerPage.load(of, asked({ id: 'c' })),
        customerPurchases.load(of, asked({ id: 'c', limit: 1 })),
      ]);
    await commit(A1);
    expect(await loads(reflecting())).toEqual(await loads(db));
  });

  it('returns the same results for every kind of query', async () => {
    const all = sql`select 1::int as i, 2::bigint as b, 1.50::numeric as n, true as t, null as z, '{"a":[1]}'::jsonb as j,
      '2026-01-01 00:00+00'::timestamptz as at, '{a,"b c"}'::text[] as list, 3 as i`;
    const ask = async (of: Database) => ({
      raw: await of.execute(all),
      counted: await of.$count(products, eq(products.sku, 'A1')),
      prepared: await of
        .select()
        .from(products)
        .where(eq(products.sku, sql.placeholder('sku')))
        .prepare('one')
        .execute({ sku: 'B2' }),
      batch: await of.batch([
        of.execute(all),
        of.select({ rows: count() }).from(purchases),
        of.select({ sku: products.sku, at: products.updatedAt }).from(products).orderBy(products.sku),
      ]),
    });
    // The functions in `_types` and `_parsers` are the driver's own, made anew for each result.
    const data = (answers: object): unknown => JSON.parse(JSON.stringify(answers));
    expect(data(await ask(reflecting()))).toEqual(data(await ask(db)));
  });

  it('returns the same errors, for single queries and batches', async () => {
    const failures = async (of: Database) => {
      const queries = [
        () => of.execute(sql`select 1 / 0`),
        () => of.execute(sql`select 'x'::int`),
        () => of.execute(sql`select * from nowhere`),
        () => of.insert(products).values({ sku: 'A1', unitPrice: 1 }),
        () => of.batch([of.select().from(products), of.execute(sql`select 1 / 0`)]),
      ];
      const errors = [];
      for (const query of queries) {
        try {
          await query();
        } catch (error) {
          if (!(error instanceof Error)) throw error;
          errors.push({ name: error.name, message: error.message, fault: classifyFault(error) });
        }
      }
      return errors;
    };
    const plain = await failures(db);
    expect(plain.map(({ fault }) => fault)).toEqual(['data', 'data', 'bug', 'data', 'data']);
    expect(await failures(reflecting())).toEqual(plain);
  });

  it('reports an outage as an outage', async () => {
    const away = connect({ url: 'postgres://u:p@127.0.0.1:9/none', endpoint: 'http://127.0.0.1:9/sql' });
    const error: unknown = await reflect(away.$client, EPOCH)
      .db.execute(sql`select 1`)
      .then(undefined, (reason: unknown) => reason);
    connect({ url: database.connectionString, endpoint: database.endpoint });
    expect(classifyFault(error)).toBe('unavailable');
  });
});

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { append, ensure, increment, remove, set, upsert } from '../../../src/define/event.ts';
import { deleteEntity, putEntity } from '../../../src/storage/postgres/entity-writes.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import {
  bike,
  type EffectsDatabase,
  openEffectsDatabase,
  riderHistory,
  station,
  stations,
  storable,
  value,
  values,
} from './effects-catalog.ts';

let of: EffectsDatabase;
beforeAll(async () => {
  of = await openEffectsDatabase(await memoryDatabase(FIXTURE.migrationsDir));
});
afterAll(() => of.stop());
beforeEach(() => of.empty());

const stationRow = async (id = 'a') => {
  const [row] = await of.rows(
    sql`select name, status, battery, bikes::int as bikes, revenue::text as revenue, note from stations where id = ${id}`,
  );
  return row;
};
const bikeRow = async () => {
  const [row] = await of.rows(
    sql`select zone, trips::int as trips from keys where fleet = 'f' and number = 7`,
  );
  return row;
};
const KEY = { fleet: 'f', number: 7 };

describe('a row that an event writes', () => {
  it('is inserted with the columns that it names, each of several rows with its own', async () => {
    await of.store([
      storable('1', 1, [ensure(station, { id: 'a' }), ensure(station, { id: 'b', name: 'B' })]),
      storable('2', 2, [ensure(station, { id: 'c', note: 'c', bikes: 3 })]),
      storable('3', 3, [upsert(station, { id: 'd', status: null, battery: null })]),
    ]);
    expect(await stationRow('a')).toMatchObject({ name: 'unnamed', status: 'new', bikes: 0, note: null });
    expect(await stationRow('b')).toMatchObject({ name: 'B', status: 'new', bikes: 0 });
    expect(await stationRow('c')).toMatchObject({ name: 'unnamed', bikes: 3, note: 'c' });
    expect(await stationRow('d')).toMatchObject({ name: 'unnamed', status: null, battery: null });
    const { written, changed } = await of.tags();
    expect(written).toEqual(changed);
  });

  it('is inserted by the first event of the batch that names it, with any columns', async () => {
    await of.store([
      storable('1', 1, [ensure(station, { id: 'a', note: 'first' })]),
      storable('2', 2, [ensure(station, { id: 'a', name: 'second', bikes: 2 })]),
    ]);
    expect(await stationRow()).toMatchObject({ name: 'unnamed', note: 'first', bikes: 0 });
  });

  it('takes upserts, sets and increments of one batch together', async () => {
    await of.store([
      storable('1', 1, [increment(station, 'a', { bikes: 2, revenue: '1.25' }, { orInsert: { name: 'A' } })]),
      storable('2', 2, [set(station, 'a', { status: 'open', battery: 5 })]),
      storable('3', 3, [increment(station, 'a', { bikes: -5 }), set(station, 'a', { note: 'n' })]),
      storable('4', 4, [upsert(station, { id: 'a', name: 'AA' })]),
    ]);
    expect(await stationRow()).toEqual({
      ...{ name: 'AA', status: 'open', battery: 5, bikes: -3, revenue: '1.25', note: 'n' },
    });
    const { written, changed } = await of.tags();
    expect(written).toEqual(changed);
  });

  it('is not created by a set or an increment', async () => {
    await of.store([
      storable('1', 1, [set(station, 'a', { note: 'n' }), increment(station, 'a', { bikes: 1 })]),
      storable('2', 2, [set(station, 'a', { note: 'n' })]),
    ]);
    expect(await stationRow()).toBeUndefined();
    expect(await of.tags()).toEqual({ written: [], changed: [] });
  });

  it('is not written again by a duplicate, even in a batch with new events', async () => {
    const add = storable('1', 1, [increment(station, 'a', { bikes: 1 }, { orInsert: {} })]);
    await of.store([add]);
    expect(await of.store([add, storable('2', 2, [increment(station, 'a', { bikes: 10 })])])).toHaveLength(1);
    expect(await stationRow()).toMatchObject({ bikes: 11 });
  });

  it('invalidates nothing if it stays unchanged', async () => {
    await of.store([storable('1', 1, [upsert(station, { id: 'a', name: 'A', note: 'n' })])]);
    await of.tags();
    await of.store([
      storable('2', 1, [
        upsert(station, { id: 'a', name: 'A', note: 'n' }),
        increment(station, 'a', { bikes: 0 }),
      ]),
    ]);
    expect((await of.tags()).written).toEqual([]);
  });
});

describe('a column under a clock', () => {
  it('ends with the value of the latest event, independent of other clocks of the row', async () => {
    await of.store([
      storable('1', 5, [upsert(station, { id: 'a', name: 'at 5', status: 'at 5', battery: 5 })]),
    ]);
    await of.store([storable('2', 3, [set(station, 'a', { status: 'at 3', battery: 3 })])]);
    await of.store([storable('3', 7, [set(station, 'a', { name: 'at 7' })])]);
    await of.store([
      storable('4', 6, [set(station, 'a', { status: 'at 6', battery: 6, name: 'at 6' })]),
      storable('5', 4, [set(station, 'a', { status: 'at 4', battery: 4 })]),
    ]);
    expect(await stationRow()).toMatchObject({ name: 'at 7', status: 'at 6', battery: 6 });
  });

  it('does not depend on which of two events of one time arrives first', async () => {
    const x = storable('1', 5, [upsert(station, { id: 'a', status: 'x', battery: 9 })]);
    const y = storable('2', 5, [upsert(station, { id: 'a', status: 'y', battery: null })]);
    const found = [];
    for (const order of [[[x], [y]], [[y], [x]], [[x, y]], [[y, x]]]) {
      await of.empty();
      for (const batch of order) await of.store(batch);
      found.push(await stationRow());
    }
    expect(found[0]).toMatchObject({ status: 'y', battery: null });
    expect(new Set(found.map((row) => JSON.stringify(row))).size).toBe(1);
  });

  it('treats a value that no event wrote as older than any event', async () => {
    await of.store([storable('1', 9, [ensure(station, { id: 'a', name: 'ensured', status: 'ensured' })])]);
    await of.store([storable('2', 1, [upsert(station, { id: 'a', name: 'at 1' })])]);
    expect(await stationRow()).toMatchObject({ name: 'at 1', status: 'ensured' });
  });
});

describe('a removed row', () => {
  it('stays removed for earlier events, and is inserted again by later ones', async () => {
    const see = (id: string, at: number, zone: string) => storable(id, at, [upsert(bike, { ...KEY, zone })]);
    await of.store([see('1', 1, 'one')]);
    await of.store([storable('2', 5, [remove(bike, KEY)])]);
    expect(await bikeRow()).toBeUndefined();
    await of.store([
      see('3', 3, 'three'),
      storable('4', 5, [ensure(bike, KEY)]),
      storable('5', 4, [increment(bike, KEY, { trips: 1 }, { orInsert: {} })]),
    ]);
    expect(await bikeRow()).toBeUndefined();
    await of.store([see('6', 6, 'six')]);
    expect(await bikeRow()).toMatchObject({ zone: 'six', trips: 0 });
    await of.store([
      storable('7', 4, [set(bike, KEY, { zone: 'four' })]),
      storable('8', 5, [remove(bike, KEY)]),
    ]);
    expect(await bikeRow()).toMatchObject({ zone: 'six' });
    const { written, changed } = await of.tags();
    expect(written).toEqual(changed);
  });

  it('is removed or present by the times, if both arrive in one batch', async () => {
    const see = (id: string, at: number) => storable(id, at, [upsert(bike, { ...KEY, zone: `${at}` })]);
    await of.store([see('1', 1), storable('2', 2, [remove(bike, KEY)])]);
    expect(await bikeRow()).toBeUndefined();
    await of.store([see('3', 4), storable('4', 3, [remove(bike, KEY)])]);
    expect(await bikeRow()).toMatchObject({ zone: '4' });
    await of.store([see('5', 9), storable('6', 9, [remove(bike, KEY)])]);
    expect(await bikeRow()).toBeUndefined();
  });
});

describe('a write through the API', () => {
  it('is not undone by an event that happened before it', async () => {
    await putEntity(of.db, station, 'a', { name: 'ours', note: 'ours' });
    await of.store([
      storable('1', 1, [upsert(station, { id: 'a', name: 'before', status: 'x', battery: 1 })]),
    ]);
    expect(await stationRow()).toMatchObject({ name: 'ours', note: 'ours', status: 'x' });
    await of.store([storable('2', 4_000_000_000, [set(station, 'a', { name: 'after' })])]);
    expect(await stationRow()).toMatchObject({ name: 'after' });
  });

  it('that deletes a row is not undone by an earlier event either', async () => {
    await of.store([storable('1', 1, [upsert(bike, { ...KEY, zone: 'z' })])]);
    await deleteEntity(of.db, bike, KEY);
    expect((await deleteEntity(of.db, bike, KEY))?.tags).toContain(bike.row(KEY));
    await of.store([storable('2', 2, [upsert(bike, { ...KEY, zone: 'z' })])]);
    expect(await bikeRow()).toBeUndefined();
    await of.store([storable('3', 4_000_000_000, [upsert(bike, { ...KEY, zone: 'new' })])]);
    expect(await bikeRow()).toMatchObject({ zone: 'new' });
  });
});

describe('several rows of one event', () => {
  it('are in a history by their line, each with its own columns', async () => {
    await of.store([
      storable('1', 1, [
        append(riderHistory, { station: 'a', rider: 'x' }),
        append(riderHistory, { station: 'b', rider: 'y', tip: 1 }),
        append(riderHistory, { station: 'a', rider: 'z' }),
      ]),
      storable('2', 2, [append(riderHistory, { station: 'c', rider: 'w' })]),
    ]);
    const rows = await of.rows(
      sql`select event_seq::int as seq, event_line::int as line, station, event_id as rider, tip::int as tip from ride_riders order by 1, 2`,
    );
    expect(rows).toEqual([
      { seq: 1, line: 0, station: 'a', rider: 'x', tip: 7 },
      { seq: 1, line: 1, station: 'b', rider: 'y', tip: 1 },
      { seq: 1, line: 2, station: 'a', rider: 'z', tip: 7 },
      { seq: 2, line: 0, station: 'c', rider: 'w', tip: 7 },
    ]);
    const { written, changed } = await of.tags();
    expect(written).toEqual(changed);
  });

  it('may be of one entity', async () => {
    await of.store([
      storable('1', 1, [
        upsert(station, { id: 'a', name: 'A' }),
        upsert(station, { id: 'b', name: 'B' }),
        increment(station, 'a', { bikes: 1 }),
        increment(station, 'b', { bikes: 2 }),
        increment(station, 'b', { bikes: 3 }),
      ]),
    ]);
    expect(await stationRow('a')).toMatchObject({ name: 'A', bikes: 1 });
    expect(await stationRow('b')).toMatchObject({ name: 'B', bikes: 5 });
  });
});

describe('values of every kind', () => {
  const row = {
    id: 9_007_199_254_740_993n,
    day: new Date('2026-02-03T00:00:00Z'),
    at: new Date('2026-02-03T04:05:06.789Z'),
    amount: '12345678901234567890.0123456789',
    exact: -9_223_372_036_854_775_808n,
    is: false,
    loose: { a: [1, 'zwei', null], b: { c: true } },
    tight: 'a text of its own',
    words: ['a', 'b "c"', '', 'null', 'x,y'],
    moments: [new Date('2026-01-01T00:00:00.001Z')],
    ratio: Number.NEGATIVE_INFINITY,
    short: null,
  };

  it('are stored as drizzle stores them', async () => {
    await of.store([storable('1', 1, [upsert(value, row)])]);
    expect(await of.db.select().from(values)).toEqual([row]);
    await of.store([
      storable('2', 2, [set(value, row.id, { words: [], tight: null, loose: [1], is: true })]),
    ]);
    expect(await of.db.select().from(values)).toEqual([
      { ...row, words: [], tight: null, loose: [1], is: true },
    ]);
  });

  it('are the default if they are absent, and null if they are null', async () => {
    await of.store([storable('1', 1, [ensure(value, { id: 1n }), ensure(value, { id: 2n, short: null })])]);
    const found = await of.db.select({ is: values.is, short: values.short }).from(values).orderBy(values.id);
    expect(found).toEqual([
      { is: true, short: 'short' },
      { is: true, short: null },
    ]);
  });

  it('that are numbers are added exactly', async () => {
    await of.store([
      storable('1', 1, [increment(value, 1n, { exact: 9_223_372_036_854_775_800n }, { orInsert: {} })]),
    ]);
    await of.store([
      storable('2', 1, [
        increment(value, 1n, { exact: 7, amount: '0.1' }),
        increment(value, 1n, { amount: 0.2 }),
      ]),
    ]);
    expect(await of.db.select().from(values)).toMatchObject([
      { exact: 9_223_372_036_854_775_807n, amount: '0.3000000000' },
    ]);
  });
});

it('a drizzle query sees what the events wrote', async () => {
  await of.store([storable('1', 1, [upsert(station, { id: 'a', name: 'A' })])]);
  expect(await of.db.select({ at: stations.namedAt }).from(stations)).toEqual([
    { at: '1970-01-01 00:00:01+00' },
  ]);
});

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { MIGRATIONS } from '../../durable-objects/change-feed/migrations.ts';
import { APPEND_CHANGES_MAX, READERS_MAX } from '../../durable-objects/change-feed/object.ts';
import {
  FeedStore,
  KEPT_CHANGES_MAX,
  KEPT_MS,
  MERGED_MS,
  PAGE_CHANGES_MAX,
} from '../../durable-objects/change-feed/store.ts';
import { migrate } from '../../durable-objects/sqlite-migrations.ts';
import type { FeedChange } from '../../src/pipeline/feed/change.ts';

const feed = (name: string) => env.CHANGE_FEED.getByName(name);
let streams = 0;
/** A stream's first question. */
function newcomer() {
  streams += 1;
  return { id: `stream-${streams}`, isNew: true };
}
const ALL = { types: [], entities: [] };
const change = (n: number, type = 't'): FeedChange => ({
  change: n,
  type,
  entities: [`product:${n}`],
  token: 'e.1',
});
const changes = (from: number, count: number) => Array.from({ length: count }, (_, i) => change(from + i));

async function next(name: string, seq: number, waitMs = 0, filter: typeof ALL | object = ALL) {
  const { epoch } = await start(name);
  const page = await feed(name).next({
    reader: newcomer(),
    after: { epoch, seq },
    filter: { ...ALL, ...filter },
    waitMs,
  });
  if (page === null) throw new Error('Too many are waiting.');
  return page;
}
async function start(name: string) {
  const page = await feed(name).next({ reader: newcomer(), after: undefined, filter: ALL, waitMs: 0 });
  return page?.position ?? { epoch: '', seq: -1 };
}

it('gives each change a number without a gap, also over an eviction', async () => {
  expect((await start('numbers')).seq).toBe(0);
  await feed('numbers').append(changes(10, 3));
  await evictDurableObject(feed('numbers'));
  // Two of these have been told.
  await feed('numbers').append(changes(11, 4));
  const { changes: read, position } = await next('numbers', 0);
  expect(read.map(({ seq, change: { change: id } }) => [seq, id])).toEqual([
    [1, 10],
    [2, 11],
    [3, 12],
    [4, 13],
    [5, 14],
  ]);
  expect(position.seq).toBe(5);
  expect((await next('numbers', 3)).changes.map(({ seq }) => seq)).toEqual([4, 5]);
});

it('answers a waiting reader as soon as a selected change arrives', async () => {
  const { epoch } = await start('waiting');
  const waits = (type: string) =>
    feed('waiting').next({
      reader: newcomer(),
      after: { epoch, seq: 0 },
      filter: { types: [type], entities: [] },
      waitMs: 15_000,
    });
  const [wanted, other] = [waits('b'), waits('c')];
  await feed('waiting').append([change(1, 'a')]);
  await feed('waiting').append([change(2, 'b')]);
  expect(await wanted).toMatchObject({ position: { seq: 2 }, changes: [{ seq: 2, change: { type: 'b' } }] });
  await feed('waiting').append([change(3, 'c')]);
  expect(await other).toMatchObject({ position: { seq: 3 }, changes: [{ seq: 3 }] });
  // Nobody is left: a reader that finds nothing gets its new position when its time is over.
  expect(await next('waiting', 0, 20, { types: ['d'] })).toMatchObject({ position: { seq: 3 }, changes: [] });
});

it('reads in pages, and misses nothing between them', async () => {
  for (let from = 0; from < 3_000; from += 500) await feed('pages').append(changes(from, 500));
  const seen: number[] = [];
  for (let at = 0; at < 3_000; ) {
    const page = await next('pages', at);
    expect(page.changes.length).toBeLessThanOrEqual(PAGE_CHANGES_MAX);
    seen.push(...page.changes.map(({ change: { change: id } }) => id));
    at = page.position.seq;
  }
  expect(seen).toEqual(Array.from({ length: 3_000 }, (_, n) => n));
});

it('looks at one page for each question of a filter that selects little, and reaches what it selects', async () => {
  for (let from = 0; from < 3_000; from += 500) await feed('rare').append(changes(from, 500));
  await feed('rare').append([change(3_000, 'rare')]);
  const filter = { types: ['rare'] };
  let page = await next('rare', 0, 15_000, filter);
  let questions = 1;
  for (; page.changes.length === 0; questions += 1) {
    const { seq } = page.position;
    page = await next('rare', seq, 15_000, filter);
    expect(page.position.seq - seq).toBeLessThanOrEqual(PAGE_CHANGES_MAX);
  }
  expect(page.changes.map(({ change: { type } }) => type)).toEqual(['rare']);
  expect(questions).toBeGreaterThan(2);
});

it('continues a log of an earlier version, and recognises the duplicates of its changes', async () => {
  await runInDurableObject(feed('earlier'), (_, { storage }) => {
    const { sql } = storage;
    for (const table of ['segments', 'known', 'log_epoch']) sql.exec(`drop table ${table}`);
    sql.exec('delete from migrations');
    migrate(storage, MIGRATIONS.slice(0, 1));
    sql.exec(`insert into log_epoch (only, epoch) values (1, 'e')`);
    for (const first of [11, 14, 17]) {
      const batch = changes(first * 10, 3);
      sql.exec(
        'insert into batches (first_seq, last_seq, at_ms, ids, changes) values (?, ?, ?, ?, ?)',
        ...[first, first + 2, 1_000, JSON.stringify(batch.map((one) => one.change)), JSON.stringify(batch)],
      );
    }
    const store = new FeedStore(storage, () => 'unused');
    expect(store.kept()).toEqual({ epoch: 'e', floor: 10, newest: 19 });
    store.append([...changes(110, 3), ...changes(140, 3), ...changes(170, 3), change(1)], 1_001);
    expect(store.page(12).map(({ seq, change: { change: id } }) => [seq, id])).toEqual([
      [13, 112],
      [14, 140],
      [15, 141],
      [16, 142],
      [17, 170],
      [18, 171],
      [19, 172],
      [20, 1],
    ]);
  });
});

it('recognises a duplicate while its change is kept, also after an eviction', async () => {
  await runInDurableObject(feed('known'), (_, { storage }) => {
    let store = new FeedStore(storage, () => 'unused');
    const known = new Map<number, number>();
    for (let round = 0; round < 60; round += 1) {
      if (round % 7 === 0) store = new FeedStore(storage, () => 'unused');
      // Ids come in no order, and with gaps.
      store.append(changes(((round * 37) % 60) * 10_000, 4_000), round);
      known.set(((round * 37) % 60) * 10_000, store.kept().newest - 4_000);
    }
    const { floor, newest } = store.kept();
    expect(newest).toBe(240_000);
    for (const [first, before] of known) {
      // The first change that the log appends again is the first of them that it does not keep.
      const isKept = before + 1 > floor;
      const seq = store.kept().newest;
      if (isKept) store.append([change(first)], 60);
      expect(store.kept().newest).toBe(seq);
    }
    const [oldest] = known;
    store.append([change(oldest?.[0] ?? -1)], 60);
    expect(store.kept().newest).toBe(newest + 1);
  });
});

it('returns a reset if it cannot continue', async () => {
  await feed('reset').append(changes(1, 2));
  expect(await next('reset', 3)).toMatchObject({ reset: 'from_the_future', position: { seq: 2 } });
  const other = { epoch: '00000000-0000-4000-8000-000000000000', seq: 1 };
  expect(
    await feed('reset').next({ reader: newcomer(), after: other, filter: ALL, waitMs: 0 }),
  ).toMatchObject({
    reset: 'log_was_made_anew',
    position: { seq: 2 },
  });
});

it('keeps an hour and a hundred thousand changes, and never reuses a number', async () => {
  await runInDurableObject(feed('bounds'), (_, state) => {
    const store = new FeedStore(state.storage, () => 'unused');
    store.append(changes(0, 100), 0);
    store.append(changes(100, 100), KEPT_MS);
    expect(store.kept()).toMatchObject({ floor: 0, newest: 200 });
    store.append(changes(200, 1), KEPT_MS + MERGED_MS);
    expect(store.kept()).toMatchObject({ floor: 100, newest: 201 });
    store.prune(10 * KEPT_MS);
    expect(store.kept()).toMatchObject({ floor: 200, newest: 201 });
    const now = 10 * KEPT_MS;
    for (let n = 1; n <= KEPT_CHANGES_MAX / 4_000 + 1; n += 1) store.append(changes(n * 4_000, 4_000), now);
    const { floor, newest } = store.kept();
    expect(newest - floor).toBeLessThanOrEqual(KEPT_CHANGES_MAX + 4_000);
    expect(newest - floor).toBeGreaterThan(KEPT_CHANGES_MAX - 4_000);
  });
  await feed('bounds').append(changes(1, 1));
  expect(await runDurableObjectAlarm(feed('bounds'))).toBe(true);
});

it('refuses new streams while all places are taken, and no stream that has begun', async () => {
  const { epoch, seq } = await start('crowd');
  const question = { after: { epoch, seq }, filter: ALL, waitMs: 0 };
  const readers = Array.from({ length: READERS_MAX }, newcomer);
  // `start` has a place, too, which it leaves.
  await feed('crowd').leave(`stream-${streams - READERS_MAX}`);
  for (const reader of readers) expect(await feed('crowd').next({ ...question, reader })).not.toBeNull();
  expect((await feed('crowd').status()).readers).toBe(READERS_MAX);
  for (let tries = 0; tries < 3; tries += 1)
    expect(await feed('crowd').next({ ...question, reader: newcomer() })).toBeNull();
  const begun = await Promise.all(
    readers.map(({ id }) => feed('crowd').next({ ...question, reader: { id, isNew: false } })),
  );
  expect(begun).not.toContain(null);
  expect(Math.max(...begun.map((page) => page?.pauseMs ?? 0))).toBeGreaterThan(1_000);
  await feed('crowd').leave(readers[0]?.id ?? '');
  expect(await feed('crowd').next({ ...question, reader: newcomer() })).not.toBeNull();
});

it('appends a change once if a call has it twice, and refuses a call with too many', async () => {
  await feed('twice').append([change(1), change(2), change(1)]);
  expect((await next('twice', 0)).changes.map(({ change: { change: id } }) => id)).toEqual([1, 2]);
  await runInDurableObject(feed('twice'), async (object) => {
    await expect(object.append(changes(1, APPEND_CHANGES_MAX + 1))).rejects.toThrow();
  });
});

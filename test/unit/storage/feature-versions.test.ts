import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import {
  advanceBackfill,
  BACKFILL,
  beginBackfill,
  endBackfill,
  readVersions,
  wasReplaced,
} from '../../../src/storage/postgres/feature-versions.ts';
import { readReplay } from '../../../src/storage/postgres/replays.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const [FIRST, SECOND] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
const BOUNDS = { firstSeq: 5, lastSeq: 9, events: 3 };
const spent = { entity: 'customer', feature: 'spent', digest: 'a' };
const changed = { ...spent, digest: 'b' };
let database: DevDatabase;
let db: ReturnType<typeof connect>;

beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
});
afterAll(() => database.close());

const states = async () =>
  (await readVersions(db)).map(({ digest, state, run, isRetired }) => [digest, state, run, isRetired]);
const replayed = async () => {
  const replay = await readReplay(db, BACKFILL);
  if (replay === undefined) throw new Error('There is no replay.');
  return replay;
};

it('records the versions of features and the progress of their backfill, and retires those that are gone', async () => {
  await beginBackfill(db, FIRST, [{ ...spent, state: 'ready' }], { firstSeq: 0, lastSeq: 0, events: 0 });
  expect(await states()).toEqual([['a', 'ready', null, false]]);
  expect(await readReplay(db, BACKFILL)).toBeUndefined();

  await beginBackfill(db, FIRST, [{ ...changed, state: 'filling' }], BOUNDS);
  expect(await states()).toEqual([
    ['a', 'ready', null, true],
    ['b', 'filling', FIRST, false],
  ]);
  const open = await replayed();
  expect(open).toMatchObject({ run: FIRST, state: 'open', cursor: 4, lastSeq: 9, total: 3, replayed: 0 });
  const page = { cursor: 7, events: 2, isLast: false };
  await Promise.all([advanceBackfill(db, open, page), advanceBackfill(db, open, page)]);
  expect(await replayed()).toMatchObject({ state: 'open', cursor: 7, replayed: 2 });
  // A run that was replaced neither goes on nor ends.
  await beginBackfill(db, SECOND, [{ ...changed, state: 'filling' }], BOUNDS);
  await advanceBackfill(db, { ...open, cursor: 4 }, { cursor: 9, events: 3, isLast: true });
  await endBackfill(db, open);
  expect(await states()).toEqual([
    ['a', 'ready', null, true],
    ['b', 'filling', SECOND, false],
  ]);
  await advanceBackfill(db, await replayed(), { cursor: 9, events: 3, isLast: true });
  await endBackfill(db, await replayed());
  expect(await replayed()).toMatchObject({ run: SECOND, state: 'done', replayed: 3 });
  expect(await states()).toEqual([
    ['a', 'ready', null, true],
    ['b', 'ready', SECOND, false],
  ]);
});

it('knows the versions that a release had by a name and the first digits, and those of this release not', async () => {
  const has = (entity: string, readName: string, digits: string) =>
    wasReplaced(db, entity, { readName, digits });
  expect(await has('customer', 'spent_7d', 'a')).toBe(true);
  expect(await has('customer', 'spent_7d', 'b')).toBe(false);
  expect(await has('customer', 'paid_7d', 'a')).toBe(false);
  expect(await has('product', 'spent_7d', 'a')).toBe(false);
});

it('keeps since when a version has its state, and counts anew when it comes back', async () => {
  const since = async (digest: string) =>
    (await readVersions(db)).find((one) => one.digest === digest)?.since;
  const before = await since('b');
  await beginBackfill(db, FIRST, [{ ...changed, state: 'ready' }], BOUNDS);
  expect(await since('b')).toBe(before);
  const retired = await since('a');
  await beginBackfill(db, FIRST, [{ ...spent, state: 'filling' }], BOUNDS);
  expect(await since('a')).not.toBe(retired);
  expect(await states()).toEqual(
    expect.arrayContaining([
      ['a', 'filling', FIRST, false],
      ['b', 'ready', SECOND, true],
    ]),
  );
});

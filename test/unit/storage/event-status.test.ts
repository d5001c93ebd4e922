import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Effect, rowTagsOf } from '../../../src/define/effect.ts';
import { append, ensure, increment, remove, set } from '../../../src/define/event.ts';
import { readEventStatus } from '../../../src/storage/postgres/event-status.ts';
import * as millrace from '../../../src/storage/postgres/schema.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import {
  bike,
  type EffectsDatabase,
  openEffectsDatabase,
  riderHistory,
  station,
  storable,
} from './effects-catalog.ts';

let of: EffectsDatabase;
beforeAll(async () => {
  of = await openEffectsDatabase(await memoryDatabase(FIXTURE.migrationsDir));
});
afterAll(() => of.stop());
beforeEach(() => of.empty());

async function invalidatedBy(id: string, effects: readonly Effect[]) {
  const status = await readEventStatus(of.db, '/test', id, () => rowTagsOf(effects));
  if (status?.status !== 'stored') throw new Error(`The event is ${status?.status}.`);
  return status.invalidated;
}

const KEY = { fleet: 'f', number: 7 };

describe('the invalidated tags in the status of an event', () => {
  it('has the changes of its own rows, and none of another event in its transaction', async () => {
    const own = [append(riderHistory, { station: 'a', rider: 'r' }), ensure(station, { id: 'a' })];
    const other = [ensure(station, { id: 'b' })];
    await of.store([storable('own', 1, own), storable('other', 2, other)]);
    const invalidated = await invalidatedBy('own', own);
    expect(invalidated?.tags).toContain('ride-rider@station:a');
    expect(invalidated?.tags).toContain('station:a');
    expect(invalidated?.tags).not.toContain('station:b');
    expect((await invalidatedBy('other', other))?.tags).toContain('station:b');
  });

  it('has updates and removals, by keys of several columns as well, each with its lists', async () => {
    await of.store([storable('0', 0, [ensure(station, { id: 'a' }), ensure(bike, KEY)])]);
    const moved = [increment(station, 'a', { bikes: 1 }), set(bike, KEY, { zone: 'north' })];
    await of.store([storable('1', 1, moved)]);
    const tags = (await invalidatedBy('1', moved))?.tags ?? [];
    expect(tags).toEqual(expect.arrayContaining(['station:a', 'bike:f,7']));
    expect(tags.some((tag) => tag.startsWith('station/by-bikes^'))).toBe(true);
    const gone = [remove(bike, KEY)];
    await of.store([storable('2', 2, gone)]);
    expect((await invalidatedBy('2', gone))?.tags).toEqual(['bike:f,7']);
  });

  it('is empty for an event that changed no row', async () => {
    const effects = [set(station, 'missing', { note: 'n' })];
    await of.store([storable('1', 1, effects)]);
    expect(await invalidatedBy('1', effects)).toEqual({ tags: [], at: null, token: null });
  });

  it('is relayed once all of its changes are, at the last of their moments', async () => {
    const effects = [ensure(station, { id: 'a' }), append(riderHistory, { station: 'a', rider: 'r' })];
    await of.store([storable('1', 1, effects)]);
    const relay = (seq: number, which: ReturnType<typeof sql>) =>
      of.db.execute(sql`
        update ${millrace.outbox} set relayed_epoch = 'e', relayed_seq = ${seq},
          relayed_at = ${`2026-11-28T00:00:0${seq}Z`}::timestamptz
        where ${which}`);
    await relay(3, sql`event_seq is not null`);
    expect(await invalidatedBy('1', effects)).toMatchObject({ at: null, token: null });
    await relay(5, sql`event_seq is null`);
    expect(await invalidatedBy('1', effects)).toMatchObject({
      at: '2026-11-28T00:00:05.000Z',
      token: 'e.5',
    });
  });
});

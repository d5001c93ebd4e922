import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { migrate } from '../../durable-objects/sqlite-migrations.ts';
import { MIGRATIONS } from '../../durable-objects/tag-clock/migrations.ts';
import { ClockStore } from '../../durable-objects/tag-clock/store.ts';
import { isValid, newClock } from '../../src/cache/clock/clock.ts';
import { applyDelta } from '../../src/cache/clock/delta.ts';
import { Horizon } from '../../src/cache/clock/horizon.ts';
import { tagHashes } from '../../src/cache/clock/tag-hash.ts';
import { clockAt } from '../../src/cache/clock/wire.ts';

const WHOLE = { epoch: '', sinceSeq: 0, maxAgeMs: 0, atLeast: undefined };

const root = () => env.TAG_CLOCK.getByName('root');

/** Each test begins with a clock of its own: one whose storage was lost. */
beforeEach(async () => {
  await runInDurableObject(root(), (_, state) => state.storage.deleteAll());
  await evictDurableObject(root());
});

async function mirror() {
  const answer = await clockAt(root()).sync(WHOLE);
  const clock = newClock(answer.epoch);
  applyDelta(clock, answer);
  return clock;
}

it('exists only under its name and those of the regions: any other would be a second root', async () => {
  for (const stub of [env.TAG_CLOCK.getByName('rooot'), env.TAG_CLOCK.get(env.TAG_CLOCK.newUniqueId())])
    await runInDurableObject(stub, async (clock, state) => {
      await expect(clock.sync(WHOLE)).rejects.toThrow(/There is no tag clock/);
      await expect(clock.invalidateTags([1])).rejects.toThrow(/There is no tag clock/);
      const tables = state.storage.sql
        .exec(`select name from sqlite_master where name = 'invalidations'`)
        .toArray();
      expect(tables).toEqual([]);
    });
});

describe('the root clock', () => {
  it('raises its counter once a call, and sends mirrors the changes that they lack', async () => {
    const clock = root();
    const first = await clock.invalidateTags([1, 2, 3]);
    const second = await clock.invalidateTags([2]);
    expect(second).toEqual({ epoch: first.epoch, seq: first.seq + 1 });
    const since = await clockAt(clock).sync({ ...WHOLE, epoch: first.epoch, sinceSeq: first.seq });
    expect(since.changes.byteLength).toBe(6);
    const known = await mirror();
    expect([1, 2, 3].map((tag) => known.changed.newestSeqOf(tag))).toEqual([1, 2, 1]);
  });

  it('has its whole state again after an eviction', async () => {
    const clock = root();
    const tags = Array.from({ length: 333 }, (_, index) => index * 7);
    const token = await clock.invalidateTags(tags);
    await evictDurableObject(clock);
    const known = await mirror();
    expect(known.epoch).toBe(token.epoch);
    expect(known.seq).toBe(token.seq);
    expect(tags.every((tag) => known.changed.newestSeqOf(tag) === token.seq)).toBe(true);
    expect(await root().invalidateTags([1])).toEqual({ epoch: token.epoch, seq: token.seq + 1 });
  });

  it('sends a mirror of another epoch all that it remembers', async () => {
    const clock = root();
    await clock.invalidateTags([9]);
    const answer = await clockAt(clock).sync({ ...WHOLE, epoch: 'another', sinceSeq: 1_000 });
    const known = newClock(answer.epoch);
    applyDelta(known, answer);
    expect(known.changed.newestSeqOf(9)).toBe(1);
  });

  it('refuses what is not the hash of a tag, and stays unchanged', async () => {
    const clock = root();
    await clock.invalidateTags([1]);
    // Inside the object: a rejection that crosses the call is reported a second time by the test runtime.
    await runInDurableObject(clock, async (object) => {
      await expect(object.invalidateTags([2, 2 ** 32])).rejects.toThrow(/is not the hash of a tag/);
      await expect(object.invalidateTags([1.5])).rejects.toThrow(/is not the hash of a tag/);
    });
    const known = await mirror();
    expect(known.seq).toBe(1);
    expect(known.changed.newestSeqOf(2)).toBe(0);
  });

  it('has exactly its acknowledged state on disk', async () => {
    const clock = root();
    await Promise.all(Array.from({ length: 20 }, (_, index) => clock.invalidateTags([index, 100])));
    const rows = await runInDurableObject(clock, (_, state) =>
      state.storage.sql.exec('select seq, hex(tags) as tags from invalidations order by seq').toArray(),
    );
    expect(rows).toHaveLength(20);
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(rows.filter(({ tags }) => String(tags).endsWith('64000000'))).toHaveLength(20);
  });
});

/** A scratch object's storage, with a count of what is asked of it. The platform charges for rows read and written. */
async function withStorage(
  test: (storage: DurableObjectStorage, rows: () => { read: number; written: number }) => void,
) {
  const stub = env.TAG_CLOCK.getByName(`scratch ${crypto.randomUUID()}`);
  await runInDurableObject(stub, (_, { storage }) => {
    let cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
    const exec = storage.sql.exec.bind(storage.sql);
    vi.spyOn(storage.sql, 'exec').mockImplementation((...asked) => {
      const cursor = exec(...asked);
      cursors.push(cursor);
      return cursor as never;
    });
    const rows = () => {
      const count = {
        read: cursors.reduce((sum, { rowsRead }) => sum + rowsRead, 0),
        written: cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0),
      };
      cursors = [];
      return count;
    };
    test(storage, rows);
  });
}

describe('a new epoch', () => {
  const entryAt = ({ epoch, seq }: { epoch: string; seq: number }) => ({ epoch, stamp: seq });

  it('voids every entry and mirror of before, also after an eviction, and its own entries live', async () => {
    const before = await root().invalidateTags([1]);
    const old = entryAt(before);
    expect(isValid(await mirror(), old, [2])).toBe(true);
    const begun = await root().beginEpoch();
    expect(begun).toEqual({ epoch: expect.not.stringMatching(before.epoch), seq: before.seq });
    expect(isValid(await mirror(), old, [2])).toBe(false);
    expect(isValid(await mirror(), entryAt(begun), [1, 2])).toBe(true);
    await evictDurableObject(root());
    expect(await mirror()).toMatchObject({ epoch: begun.epoch, seq: begun.seq });
    expect(await root().invalidateTags([2])).toEqual({ epoch: begun.epoch, seq: begun.seq + 1 });
    expect([
      isValid(await mirror(), entryAt(begun), [2]),
      isValid(await mirror(), entryAt(begun), [1]),
    ]).toEqual([...[false, true]]);
  });

  it('reaches a region with its next sync, and keeps the phases', async () => {
    await root().switchPhase({ phase: 'cache', state: 'off', by: 'key:a', reason: 'r' }, []);
    const region = clockAt(env.TAG_CLOCK.getByName('weur'));
    const strong = { ...WHOLE, takesPhases: true };
    const before = await region.sync(strong);
    const begun = await root().beginEpoch();
    const after = await region.sync({ ...strong, epoch: before.epoch, sinceSeq: before.seq });
    expect(after).toMatchObject({ epoch: begun.epoch, seq: begun.seq, phases: { states: { cache: 'off' } } });
  });

  it('costs its row and those of the invalidations that it removes', async () => {
    await withStorage((storage, rows) => {
      const store = new ClockStore(storage);
      store.load(() => 'e', new Horizon(1_000));
      for (let seq = 1; seq <= 100; seq += 1) store.save(seq, [seq], seq);
      rows();
      store.beginEpoch('next', 100);
      const { read, written } = rows();
      expect(written).toBeLessThanOrEqual(101);
      expect(read).toBeLessThanOrEqual(102);
      const clock = new ClockStore(storage).load(() => 'never', new Horizon(1_000));
      expect([clock.epoch, clock.seq, clock.changed.floorSeq]).toEqual(['next', 100, 100]);
    });
  });
});

describe('the storage of the root clock', () => {
  const horizon = () => new Horizon(1_000);
  const tagsOf = (seq: number) => Array.from({ length: 300 }, (_, index) => seq * 1_000 + index);

  it('costs one row written an invalidation, whatever its tags, and one more when it is forgotten', async () => {
    await withStorage((storage, rows) => {
      const store = new ClockStore(storage);
      store.load(() => 'e', horizon());
      rows();
      for (let seq = 1; seq <= 100; seq += 1) store.save(seq, tagsOf(seq), seq);
      // The look-up of the key.
      expect(rows()).toEqual({ read: 100, written: 100 });
      store.forget(90);
      const { read, written } = rows();
      expect(written).toBeLessThanOrEqual(91);
      expect(read).toBeLessThanOrEqual(95);
      new ClockStore(storage).load(() => 'never', horizon());
      // The ten invalidations, the clock, the count of migrations.
      expect(rows().read).toBeLessThanOrEqual(15);
    });
  });

  it('brings back every change above the floor, and the floor', async () => {
    await withStorage((storage) => {
      const store = new ClockStore(storage);
      store.load(() => 'e', horizon());
      for (let seq = 1; seq <= 5; seq += 1) store.save(seq, [seq, 0xffff_ffff], seq);
      store.forget(3);
      const clock = new ClockStore(storage).load(() => 'never', horizon());
      expect([clock.epoch, clock.seq, clock.changed.floorSeq]).toEqual(['e', 5, 3]);
      expect([3, 4, 5, 0xffff_ffff].map((tag) => clock.changed.newestSeqOf(tag))).toEqual([0, 4, 5, 5]);
      store.forget(5);
      const empty = new ClockStore(storage).load(() => 'never', horizon());
      expect([empty.seq, empty.changed.floorSeq]).toEqual([5, 5]);
    });
  });

  it('of an earlier version keeps its epoch and its counter, and forgets what it cannot say in tags', async () => {
    await withStorage((storage) => {
      migrate(storage, MIGRATIONS.slice(0, 1));
      storage.sql.exec(`insert into clock (id, epoch, seq) values (0, 'old', 41)`);
      storage.sql.exec('insert into slots (slot, seq) values (7, 41), (8, 3)');
      const clock = new ClockStore(storage).load(() => 'never', horizon());
      expect([clock.epoch, clock.seq, clock.changed.floorSeq]).toEqual(['old', 41, 41]);
      expect(isValid(clock, { epoch: 'old', stamp: 40 }, [])).toBe(false);
      expect(isValid(clock, { epoch: 'old', stamp: 41 }, [7, 8])).toBe(true);
    });
  });
});

describe('the phases', () => {
  const off = { phase: 'cache', state: 'off', by: 'key:a', reason: 'r' } as const;
  const takingPhases = { ...WHOLE, takesPhases: true };
  const answered = async (name: string) => await clockAt(env.TAG_CLOCK.getByName(name)).sync(takingPhases);

  it('are all on until one is switched, and a mirror of an earlier release hears nothing of them', async () => {
    expect((await answered('root')).phases).toBeUndefined();
    const { token } = await root().switchPhase(off, []);
    expect((await answered('root')).phases).toEqual({
      ...{ states: { pipeline: 'on', cache: 'off', inference: 'on' }, seq: token.seq },
    });
    expect((await clockAt(root()).sync(WHOLE)).phases).toBeUndefined();
  });

  it('are as they were after an eviction, with who switched them and why', async () => {
    const { record, token } = await root().switchPhase(off, ['model:m']);
    expect(record.cache).toMatchObject({ state: 'off', by: 'key:a', reason: 'r' });
    await evictDurableObject(root());
    expect(await root().phases()).toEqual(record);
    expect((await answered('root')).phases?.seq).toBe(token.seq);
    const known = await mirror();
    expect(tagHashes(['phases', 'model:m']).map((tag) => known.changed.newestSeqOf(tag))).toEqual([
      token.seq,
      token.seq,
    ]);
  });

  it('reach the regions', async () => {
    await answered('weur');
    const { token } = await root().switchPhase(off, []);
    const after = await clockAt(env.TAG_CLOCK.getByName('weur')).sync({ ...takingPhases, atLeast: token });
    expect(after.phases?.states.cache).toBe('off');
  });

  it('that stay as they are invalidate nothing', async () => {
    const first = await root().switchPhase(off, []);
    const again = await root().switchPhase({ ...off, by: 'key:b' }, []);
    expect(again).toEqual(first);
  });

  it('and the invalidation are one transaction: a switch that fails leaves both as they were', async () => {
    await runInDurableObject(root(), async (object, state) => {
      state.storage.sql.exec(`create trigger refuse before update of phases on clock
        begin select raise(abort, 'refused'); end`);
      await expect(object.switchPhase(off, [])).rejects.toThrow(/refused/);
      expect((await object.phases()).cache.state).toBe('on');
      const [row] = state.storage.sql.exec('select count(*) as n from invalidations').toArray();
      expect(row?.['n']).toBe(0);
      state.storage.sql.exec('drop trigger refuse');
      expect((await object.switchPhase(off, [])).token.seq).toBe(1);
    });
  });

  it('that wait for a second principal change nothing until then, also after an eviction', async () => {
    const { token } = await root().switchPhase(off, []);
    const ask = { phase: 'cache', by: 'key:a', reason: 'mended', gates: ['history'] } as const;
    expect((await root().askPhase(ask)).token).toEqual(token);
    await evictDurableObject(root());
    expect((await answered('root')).phases).toEqual({
      ...{ states: { pipeline: 'on', cache: 'off', inference: 'on' }, seq: token.seq },
    });
    expect(await root().approvePhase({ phase: 'cache', by: 'key:a' })).toEqual({ refused: 'same_principal' });
    const made = await root().approvePhase({ phase: 'cache', by: 'key:b' });
    expect(made).toMatchObject({ record: { cache: { state: 'on', by: 'key:a', approvedBy: 'key:b' } } });
    expect((await answered('root')).phases?.states.cache).toBe('on');
    expect(await root().approvePhase({ phase: 'cache', by: 'key:b' })).toEqual({ refused: 'nothing_asked' });
  });

  it('that wait cost one row, and a switch two', async () => {
    await runInDurableObject(root(), async (object, state) => {
      const exec = state.storage.sql.exec.bind(state.storage.sql);
      const cursors: { readonly rowsWritten: number }[] = [];
      vi.spyOn(state.storage.sql, 'exec').mockImplementation((...asked) => {
        const cursor = exec(...asked);
        cursors.push(cursor);
        return cursor as never;
      });
      const written = () => cursors.splice(0).reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
      await object.switchPhase(off, []);
      expect(written()).toBe(2);
      await object.askPhase({ phase: 'cache', by: 'key:a', reason: 'r', gates: [] });
      expect(written()).toBe(1);
      await object.phases();
      expect(written()).toBe(0);
      await object.approvePhase({ phase: 'cache', by: 'key:b' });
      expect(written()).toBe(2);
    });
  });

  it('are on the root alone, and none has a name or a state that there is not', async () => {
    await runInDurableObject(env.TAG_CLOCK.getByName('weur'), async (object) => {
      await expect(object.switchPhase(off, [])).rejects.toThrow(/root clock only/);
      await expect(object.phases()).rejects.toThrow(/root clock only/);
    });
    await runInDurableObject(root(), async (object) => {
      await expect(object.switchPhase({ ...off, phase: 'core' as 'cache' }, [])).rejects.toThrow(RangeError);
    });
  });
});

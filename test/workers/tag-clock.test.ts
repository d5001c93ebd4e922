import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { newClock } from '../../src/cache/clock/clock.ts';
import { applyDelta } from '../../src/cache/clock/delta.ts';
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
  applyDelta(clock, answer.seq, answer.delta);
  return clock;
}

it('exists only under its name and those of the regions: any other would be a second root', async () => {
  for (const stub of [env.TAG_CLOCK.getByName('rooot'), env.TAG_CLOCK.get(env.TAG_CLOCK.newUniqueId())])
    await runInDurableObject(stub, async (clock, state) => {
      await expect(clock.sync(WHOLE)).rejects.toThrow(/There is no tag clock/);
      await expect(clock.invalidate([1])).rejects.toThrow(/There is no tag clock/);
      const tables = state.storage.sql.exec(`select name from sqlite_master where name = 'slots'`).toArray();
      expect(tables).toEqual([]);
    });
});

describe('the root clock', () => {
  it('raises its counter once a call, and sends mirrors the changes that they lack', async () => {
    const clock = root();
    const first = await clock.invalidate([1, 2, 3]);
    const second = await clock.invalidate([2]);
    expect(second).toEqual({ epoch: first.epoch, seq: first.seq + 1 });
    const since = await clockAt(clock).sync({ ...WHOLE, epoch: first.epoch, sinceSeq: first.seq });
    expect(since.delta.byteLength).toBeLessThan(8);
    const known = await mirror();
    expect([known.changed[1], known.changed[2], known.changed[3]]).toEqual([1, 2, 1]);
  });

  it('has its whole state again after an eviction', async () => {
    const clock = root();
    const slots = Array.from({ length: 333 }, (_, index) => index * 7);
    const token = await clock.invalidate(slots);
    await evictDurableObject(clock);
    const known = await mirror();
    expect(known.epoch).toBe(token.epoch);
    expect(known.seq).toBe(token.seq);
    expect(slots.every((slot) => known.changed[slot] === token.seq)).toBe(true);
    expect(await root().invalidate([1])).toEqual({ epoch: token.epoch, seq: token.seq + 1 });
  });

  it('sends a mirror of another epoch the whole clock', async () => {
    const clock = root();
    await clock.invalidate([9]);
    const answer = await clockAt(clock).sync({ ...WHOLE, epoch: 'another', sinceSeq: 1_000 });
    const known = newClock(answer.epoch);
    applyDelta(known, answer.seq, answer.delta);
    expect(known.changed[9]).toBe(1);
  });

  it('refuses an invalid slot, and stays unchanged', async () => {
    const clock = root();
    await clock.invalidate([1]);
    // Inside the object: a rejection that crosses the call is reported a second time by the test runtime.
    await runInDurableObject(clock, async (object) => {
      await expect(object.invalidate([2, 65_536])).rejects.toThrow(/is not a slot/);
      await expect(object.invalidate([1.5])).rejects.toThrow(/is not a slot/);
    });
    const known = await mirror();
    expect(known.seq).toBe(1);
    expect(known.changed[2]).toBe(0);
  });

  it('has exactly its acknowledged state on disk', async () => {
    const clock = root();
    await Promise.all(Array.from({ length: 20 }, (_, index) => clock.invalidate([index, 100])));
    const rows = await runInDurableObject(clock, (_, state) =>
      state.storage.sql.exec('select slot, seq from slots order by slot').toArray(),
    );
    expect(rows).toHaveLength(21);
    expect(rows.at(-1)).toEqual({ slot: 100, seq: 20 });
  });
});

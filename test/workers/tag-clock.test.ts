import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { newClock } from '../../src/cache/clock/clock.ts';
import { applyDelta } from '../../src/cache/clock/delta.ts';
import { clockAt } from '../../src/cache/clock/wire.ts';

const WHOLE = { epoch: '', sinceSeq: 0, maxAgeMs: 0, atLeast: undefined };

function clockNamed(name: string) {
  return env.TAG_CLOCK.getByName(name);
}

async function mirrorOf(name: string) {
  const answer = await clockAt(clockNamed(name)).sync(WHOLE);
  const clock = newClock(answer.epoch);
  applyDelta(clock, answer.seq, answer.delta);
  return clock;
}

describe('the root clock', () => {
  it('raises its counter once a call, and gives mirrors what they lack', async () => {
    const clock = clockNamed('counting');
    const first = await clock.invalidate([1, 2, 3]);
    const second = await clock.invalidate([2]);
    expect(second).toEqual({ epoch: first.epoch, seq: first.seq + 1 });
    const since = await clockAt(clock).sync({ ...WHOLE, epoch: first.epoch, sinceSeq: first.seq });
    expect(since.delta.byteLength).toBeLessThan(8);
    const mirror = await mirrorOf('counting');
    expect([mirror.changed[1], mirror.changed[2], mirror.changed[3]]).toEqual([1, 2, 1]);
  });

  it('knows everything again after an eviction', async () => {
    const clock = clockNamed('evicted');
    const slots = Array.from({ length: 333 }, (_, index) => index * 7);
    const token = await clock.invalidate(slots);
    await evictDurableObject(clock);
    const mirror = await mirrorOf('evicted');
    expect(mirror.epoch).toBe(token.epoch);
    expect(mirror.seq).toBe(token.seq);
    expect(slots.every((slot) => mirror.changed[slot] === token.seq)).toBe(true);
    expect(await clockNamed('evicted').invalidate([1])).toEqual({ epoch: token.epoch, seq: token.seq + 1 });
  });

  it('gives a mirror of another epoch everything from the beginning', async () => {
    const clock = clockNamed('epochs');
    await clock.invalidate([9]);
    const answer = await clockAt(clock).sync({ ...WHOLE, epoch: 'another', sinceSeq: 1_000 });
    const mirror = newClock(answer.epoch);
    applyDelta(mirror, answer.seq, answer.delta);
    expect(mirror.changed[9]).toBe(1);
  });

  it('refuses what is no slot, and is left as it was', async () => {
    const clock = clockNamed('refusing');
    await clock.invalidate([1]);
    // Inside the object: a rejection that crosses the call is reported a second time by the test runtime.
    await runInDurableObject(clock, async (object) => {
      await expect(object.invalidate([2, 65_536])).rejects.toThrow(/is not a slot/);
      await expect(object.invalidate([1.5])).rejects.toThrow(/is not a slot/);
    });
    const mirror = await mirrorOf('refusing');
    expect(mirror.seq).toBe(1);
    expect(mirror.changed[2]).toBe(0);
  });

  it('keeps on disk exactly what it acknowledged', async () => {
    const clock = clockNamed('disk');
    await Promise.all(Array.from({ length: 20 }, (_, index) => clock.invalidate([index, 100])));
    const rows = await runInDurableObject(clock, (_, state) =>
      state.storage.sql.exec('select slot, seq from slots order by slot').toArray(),
    );
    expect(rows).toHaveLength(21);
    expect(rows.at(-1)).toEqual({ slot: 100, seq: 20 });
  });
});

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { newClock } from '../../src/cache/clock/clock.ts';
import { applyDelta } from '../../src/cache/clock/delta.ts';
import type { SyncRequest } from '../../src/cache/clock/mirror.ts';
import { clockAt } from '../../src/cache/clock/wire.ts';

const root = () => env.TAG_CLOCK.getByName('root');
const europe = () => env.TAG_CLOCK.getByName('weur');
const ask = (maxAgeMs: number, atLeast: SyncRequest['atLeast'] = undefined): SyncRequest => ({
  epoch: '',
  sinceSeq: 0,
  maxAgeMs,
  atLeast,
});

describe('a regional clock', () => {
  it('answers a strong sync with everything that the root has acknowledged', async () => {
    const token = await root().invalidateTags([11]);
    const answer = await clockAt(europe()).sync(ask(0));
    expect(answer).toMatchObject({ epoch: token.epoch, seq: token.seq });
    const mirror = newClock(answer.epoch);
    applyDelta(mirror, answer);
    expect(mirror.changed.newestSeqOf(11)).toBe(token.seq);
  });

  it('answers a bounded sync from its mirror, with its age', async () => {
    await clockAt(europe()).sync(ask(0));
    const answer = await clockAt(europe()).sync(ask(60_000));
    expect(answer.ageMs).toBeGreaterThanOrEqual(0);
    expect(answer.ageMs).toBeLessThan(60_000);
    expect(answer.askAgainMs).toBeGreaterThanOrEqual(50);
  });

  it('syncs with the root for a token that it does not have yet', async () => {
    await clockAt(europe()).sync(ask(0));
    const token = await root().invalidateTags([12]);
    const answer = await clockAt(europe()).sync(ask(60_000, token));
    expect(answer.seq).toBeGreaterThanOrEqual(token.seq);
  });

  it('learns of an invalidation by a push or a background sync, without strong reads', async () => {
    await clockAt(europe()).sync(ask(0));
    const token = await root().invalidateTags([13]);
    const seen = async () => (await clockAt(europe()).sync(ask(600_000))).seq;
    await expect.poll(seen, { timeout: 3_000 }).toBeGreaterThanOrEqual(token.seq);
  });

  it('starts empty after an eviction, and is complete again after its first sync', async () => {
    const token = await root().invalidateTags([14]);
    await evictDurableObject(europe());
    const answer = await clockAt(europe()).sync(ask(60_000));
    expect(answer.seq).toBe(token.seq);
    expect(answer.changes.byteLength).toBeGreaterThan(0);
  });

  it('does not invalidate, and the root receives no push', async () => {
    // Inside the object: a rejection that crosses the call is reported a second time by the test runtime.
    await runInDurableObject(europe(), async (object) => {
      await expect(object.invalidateTags([1])).rejects.toThrow(/on the root clock only/);
    });
    const before = await clockAt(root()).sync(ask(0));
    await root().receive({
      epoch: before.epoch,
      sinceSeq: 0,
      floorSeq: 0,
      seq: before.seq + 100,
      changes: new Uint8Array(0),
    });
    expect((await clockAt(root()).sync(ask(0))).seq).toBe(before.seq);
  });
});

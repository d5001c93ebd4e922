import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Clock, invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../../src/cache/clock/delta.ts';
import { ClockFollower, type FollowerContext } from '../../../src/cache/clock/follower.ts';
import type { SyncAnswer, SyncRequest } from '../../../src/cache/clock/mirror.ts';
import { withTimeout } from '../../../src/platform/clock.ts';

/** A root whose answers are given when the test says so: each as of the moment at which the call arrived. */
function controlledRoot(root: Clock = newClock('e')) {
  const calls: { request: SyncRequest; answer: () => void; fail: (error: Error) => void }[] = [];
  const context: FollowerContext = {
    keepAlive: () => undefined,
    parent: {
      sync: (request) => {
        const { promise, resolve, reject } = Promise.withResolvers<SyncAnswer>();
        const answer = {
          ...encodeDelta(root, request.sinceSeq),
          ageMs: 0,
          sources: { outbox: 0 },
          askAgainMs: 1_000,
        };
        calls.push({ request, answer: () => resolve(answer), fail: reject });
        return promise;
      },
    },
  };
  return { root, calls, context };
}

const timeOf = (now: () => number) => ({ now, withTimeout });
const STRONG = { maxAgeMs: 0, atLeast: undefined };
const BOUNDED = { maxAgeMs: 2_000, atLeast: undefined };
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('a follower', () => {
  it('does not join a sync that was sent before the reader began', async () => {
    const { root, calls, context } = controlledRoot();
    const follower = new ClockFollower(timeOf(() => 1_000));
    const first = follower.ensure(STRONG, follower.begin(), context);
    invalidate(root, [7]);
    const second = follower.ensure(STRONG, follower.begin(), context);
    await settle();
    expect(calls).toHaveLength(1);
    calls[0]?.answer();
    await first;
    await settle();
    expect(calls).toHaveLength(2);
    calls[1]?.answer();
    await second;
    expect(follower.mirror.clock.changed.newestSeqOf(7)).toBe(1);
  });

  it('syncs for a bounded reader once the wall clock was set back', async () => {
    const { root, calls, context } = controlledRoot();
    let now = 3_600_000;
    const follower = new ClockFollower(timeOf(() => now));
    const first = follower.ensure(BOUNDED, follower.begin(), context);
    calls[0]?.answer();
    await first;
    expect(follower.isReady(BOUNDED, context)).toBe(true);
    invalidate(root, [7]);
    now = 10_000;
    expect(follower.isReady(BOUNDED, context)).toBe(false);
    const second = follower.ensure(BOUNDED, follower.begin(), context);
    await settle();
    calls[1]?.answer();
    await second;
    expect(follower.mirror.clock.changed.newestSeqOf(7)).toBe(1);
    expect(follower.isReady(BOUNDED, context)).toBe(true);
    now += 2_001;
    expect(follower.isReady(BOUNDED, context)).toBe(false);
  });

  it('waits for a clock again that was silent before the wall clock was set back', async () => {
    const { calls, context } = controlledRoot();
    let now = 3_600_000;
    const follower = new ClockFollower(timeOf(() => now));
    const first = follower.ensure(BOUNDED, follower.begin(), context);
    now += 900;
    calls[0]?.fail(new Error('It did not answer.'));
    await expect(first).rejects.toMatchObject({ code: 'clock_unavailable' });
    expect(follower.isSilent).toBe(true);
    now = 10_000;
    expect(follower.isSilent).toBe(false);
  });

  it('reports a change after it was applied, and only if there was one', async () => {
    const { root, calls, context } = controlledRoot();
    const follower = new ClockFollower(timeOf(() => 1_000));
    const moves: string[] = [];
    const onMoved = () => moves.push(`${follower.mirror.clock.epoch}.${follower.mirror.clock.seq}`);
    const sync = async () => {
      const synced = follower.ensure(STRONG, follower.begin(), { ...context, onMoved });
      await settle();
      calls.at(-1)?.answer();
      await synced;
    };
    await sync();
    await sync();
    invalidate(root, [7]);
    await sync();
    expect(moves).toEqual(['e.0', 'e.1']);
  });

  it('lets many waiting readers share the next sync', async () => {
    const { calls, context } = controlledRoot();
    const follower = new ClockFollower(timeOf(() => 1_000));
    const first = follower.ensure(STRONG, follower.begin(), context);
    const waiting = Array.from({ length: 50 }, () => follower.ensure(STRONG, follower.begin(), context));
    await settle();
    calls[0]?.answer();
    await first;
    await settle();
    expect(calls).toHaveLength(2);
    calls[1]?.answer();
    await Promise.all(waiting);
    expect(calls).toHaveLength(2);
  });

  it('makes no sync within half of the bound, a background sync after it, and waits beyond the bound', async () => {
    const { calls, context } = controlledRoot();
    let now = 0;
    const follower = new ClockFollower(timeOf(() => now));
    const first = follower.ensure(BOUNDED, follower.begin(), context);
    calls[0]?.answer();
    await first;
    now = 900;
    await follower.ensure(BOUNDED, follower.begin(), context);
    expect(calls).toHaveLength(1);
    now = 1_100;
    await follower.ensure(BOUNDED, follower.begin(), context);
    expect(calls).toHaveLength(2);
    calls[1]?.answer();
    await settle();
    now = 3_200;
    const late = follower.ensure(BOUNDED, follower.begin(), context);
    expect(calls).toHaveLength(3);
    calls[2]?.answer();
    await late;
  });

  it('syncs no more often than its parent allows, even if the parent has no newer version', async () => {
    const { root, context } = controlledRoot();
    let now = 0;
    let asked = 0;
    const follower = new ClockFollower(timeOf(() => now));
    // A region that last heard of the root at 0 and has been growing older since.
    const parent = {
      sync: async () => {
        asked += 1;
        return { ...encodeDelta(root, root.seq), ageMs: now, sources: {}, askAgainMs: 200 };
      },
    };
    for (; now < 1_000; now += 10) {
      await follower.ensure(BOUNDED, follower.begin(), { ...context, parent });
      await settle();
    }
    expect(asked).toBe(5);
  });

  it('syncs for a token that is ahead of it, and refuses a token from the future or another epoch', async () => {
    const { root, calls, context } = controlledRoot();
    const follower = new ClockFollower(timeOf(() => 0));
    const first = follower.ensure(BOUNDED, follower.begin(), context);
    calls[0]?.answer();
    await first;
    const seq = invalidate(root, [1]);
    const session = follower.ensure(
      { maxAgeMs: 2_000, atLeast: { epoch: 'e', seq } },
      follower.begin(),
      context,
    );
    expect(calls[1]?.request.atLeast).toEqual({ epoch: 'e', seq });
    calls[1]?.answer();
    await session;
    const future = follower.ensure(
      { maxAgeMs: 2_000, atLeast: { epoch: 'e', seq: 99 } },
      follower.begin(),
      context,
    );
    calls[2]?.answer();
    await expect(future).rejects.toMatchObject({ code: 'token_from_the_future' });
    const foreign = follower.ensure(
      { maxAgeMs: 2_000, atLeast: { epoch: 'f', seq: 0 } },
      follower.begin(),
      context,
    );
    calls[3]?.answer();
    await expect(foreign).rejects.toMatchObject({ code: 'token_from_another_epoch' });
  });

  it('reports an unavailable clock, and recovers with the next sync', async () => {
    const { calls, context } = controlledRoot();
    const follower = new ClockFollower(timeOf(() => 0));
    const first = follower.ensure(BOUNDED, follower.begin(), context);
    calls[0]?.fail(new Error('gone'));
    await expect(first).rejects.toMatchObject({ code: 'clock_unavailable' });
    const second = follower.ensure(BOUNDED, follower.begin(), context);
    calls[1]?.answer();
    await second;
  });
});

describe('a follower whose parent hangs', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const UNAVAILABLE = { code: 'clock_unavailable' };
  const now = () => Date.now();

  /** What came of a reader, and after how long. */
  async function outcomeOf(reading: Promise<void>) {
    const begun = Date.now();
    const outcome = await reading.then(
      () => 'synced',
      (error: { code?: string }) => error.code,
    );
    return { outcome, afterMs: Date.now() - begun };
  }

  it('costs readers at most one timeout, also those that wait behind another reader', async () => {
    const { calls, context } = controlledRoot();
    const follower = new ClockFollower(timeOf(now));
    const first = outcomeOf(follower.ensure(BOUNDED, follower.begin(), context));
    const second = outcomeOf(follower.ensure(STRONG, follower.begin(), context));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await Promise.all([first, second])).toEqual([
      { outcome: 'clock_unavailable', afterMs: 900 },
      { outcome: 'clock_unavailable', afterMs: 900 },
    ]);
    expect(calls).toHaveLength(1);
  });

  it('fails readers at once while it is silent, and has one sync look whether it answers again', async () => {
    const { calls, context } = controlledRoot();
    const follower = new ClockFollower(timeOf(now));
    const first = follower.ensure(BOUNDED, follower.begin(), context);
    const failing = expect(first).rejects.toMatchObject(UNAVAILABLE);
    await vi.advanceTimersByTimeAsync(900);
    await failing;
    for (let n = 0; n < 10; n += 1)
      expect(await outcomeOf(follower.ensure(STRONG, follower.begin(), context))).toEqual({
        outcome: 'clock_unavailable',
        afterMs: 0,
      });
    expect(calls).toHaveLength(2);
    calls[1]?.answer();
    await vi.advanceTimersByTimeAsync(0);
    await follower.ensure(BOUNDED, follower.begin(), context);
    const strong = follower.ensure(STRONG, follower.begin(), context);
    expect(calls).toHaveLength(3);
    calls[2]?.answer();
    await strong;
  });

  it('is waited for again after a while without readers, and after an error that came at once', async () => {
    const { calls, context } = controlledRoot();
    const follower = new ClockFollower(timeOf(now));
    const first = expect(follower.ensure(BOUNDED, follower.begin(), context)).rejects.toMatchObject(
      UNAVAILABLE,
    );
    await vi.advanceTimersByTimeAsync(900);
    await first;
    await vi.advanceTimersByTimeAsync(5_000);
    for (const call of [1, 2]) {
      const failing = expect(follower.ensure(BOUNDED, follower.begin(), context)).rejects.toMatchObject(
        UNAVAILABLE,
      );
      expect(calls).toHaveLength(call + 1);
      calls[call]?.fail(new Error('reset'));
      await failing;
    }
  });
});

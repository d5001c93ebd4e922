import { expect, it } from 'vitest';
import { Deadline, DeadlinePassed } from '../../../src/platform/deadline.ts';

/** A clock that stands still, and timers that fire when they are told to. */
function world() {
  const state = { nowMs: 1_000, waits: [] as number[] };
  const time = {
    now: () => state.nowMs,
    withTimeout: async <T>(work: Promise<T>, timeoutMs: number, onTimeout: () => Error): Promise<T> => {
      state.waits.push(timeoutMs);
      if (timeoutMs === 0) throw onTimeout();
      return await work;
    },
  };
  return { state, time };
}

it('a deadline leaves each work what the earlier ones have left of it', async () => {
  const { state, time } = world();
  const deadline = new Deadline(time, 100);
  expect(await deadline.within(Promise.resolve('a'))).toBe('a');
  state.nowMs += 60;
  expect(await deadline.within(Promise.resolve('b'))).toBe('b');
  state.nowMs += 60;
  await expect(deadline.within(Promise.resolve('c'))).rejects.toBeInstanceOf(DeadlinePassed);
  expect(state.waits).toEqual([100, 40, 0]);
});

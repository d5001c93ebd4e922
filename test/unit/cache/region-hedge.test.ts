import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { SyncAnswer } from '../../../src/cache/clock/mirror.ts';
import { HEDGE_MS, RegionHedge } from '../../../src/cache/clock/region-hedge.ts';
import { withTimeout } from '../../../src/platform/clock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const ANSWER: SyncAnswer = {
  epoch: 'e',
  sinceSeq: 0,
  floorSeq: 0,
  seq: 7,
  changes: new Uint8Array(0),
  ageMs: 0,
  askAgainMs: 50,
  sources: {},
};
const never = () => new Promise<SyncAnswer>(() => undefined);

/** Syncs of one isolate: the root answers at once, and the region as the test says. Counts the calls. */
function isolateWith(answer: () => Promise<SyncAnswer>) {
  const hedge = new RegionHedge({ now: () => Date.now(), withTimeout });
  const asked: string[] = [];
  const onSlow = vi.fn();
  const regional = () => {
    asked.push('region');
    return answer();
  };
  const root = async () => {
    asked.push('root');
    return ANSWER;
  };
  return { asked, onSlow, sync: () => hedge.sync('weur', regional, root, onSlow) };
}

it('is one call while the regional clock answers', async () => {
  const { asked, onSlow, sync } = isolateWith(async () => ANSWER);
  for (let n = 0; n < 3; n += 1) expect(await sync()).toBe(ANSWER);
  expect(asked).toEqual(['region', 'region', 'region']);
  expect(onSlow).not.toHaveBeenCalled();
});

it('costs a fraction of the deadline if the regional clock hangs, and then nothing while that clock is skipped', async () => {
  const { asked, onSlow, sync } = isolateWith(never);
  const first = sync();
  await vi.advanceTimersByTimeAsync(HEDGE_MS - 1);
  expect(asked).toEqual(['region']);
  await vi.advanceTimersByTimeAsync(1);
  expect(await first).toBe(ANSWER);
  expect(onSlow).toHaveBeenCalledTimes(1);
  for (let n = 0; n < 10; n += 1) await sync();
  expect(asked).toEqual(['region', 'root', ...Array.from({ length: 10 }, () => 'root')]);
  await vi.advanceTimersByTimeAsync(5_000);
  const later = sync();
  await vi.advanceTimersByTimeAsync(HEDGE_MS);
  await later;
  expect(asked.slice(-2)).toEqual(['region', 'root']);
});

it('calls the root at once if the regional clock fails', async () => {
  const { asked, sync } = isolateWith(() => Promise.reject(new Error('gone')));
  expect(await sync()).toBe(ANSWER);
  expect(asked).toEqual(['region', 'root']);
});

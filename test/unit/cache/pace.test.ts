import { expect, it } from 'vitest';
import {
  ASK_AGAIN_MS_MAX,
  ASK_AGAIN_MS_MIN,
  countSync,
  newPace,
  type Pace,
  ROOT_ASK_AGAIN_MS_MAX,
} from '../../../src/cache/clock/pace.ts';

/** A clock with `mirrors` that each ask as soon as they may, for some seconds. Returns the last second's load. */
function run(
  mirrors: number,
  seconds: number,
  askAgainMsMax = ASK_AGAIN_MS_MAX,
): { pace: Pace; perSecond: number } {
  let pace = newPace(0, askAgainMsMax);
  let perSecond = 0;
  for (let second = 0; second < seconds; second += 1) {
    perSecond = Math.round((mirrors * 1_000) / pace.askAgainMs);
    for (let sync = 1; sync <= perSecond; sync += 1)
      pace = countSync(pace, (second + sync / perSecond) * 1_000);
  }
  return { pace, perSecond };
}

it('lets the isolates of an idle region sync at once, and makes those of a busy region wait', () => {
  expect(run(2, 5).pace.askAgainMs).toBe(ASK_AGAIN_MS_MIN);
  expect(run(100, 10).pace.askAgainMs).toBeGreaterThan(ASK_AGAIN_MS_MIN);
  expect(run(5_000, 10).pace.askAgainMs).toBe(ASK_AGAIN_MS_MAX);
});

it('settles near its target load', () => {
  const { perSecond } = run(120, 20);
  expect(perSecond).toBeGreaterThan(150);
  expect(perSecond).toBeLessThan(260);
});

it('lets a root ask its regions for longer pauses, within the bound that isolates need', () => {
  expect(run(9, 10, ROOT_ASK_AGAIN_MS_MAX).pace.askAgainMs).toBe(ASK_AGAIN_MS_MIN);
  expect(run(60, 20, ROOT_ASK_AGAIN_MS_MAX).perSecond).toBeLessThan(260);
  expect(run(1_000, 10, ROOT_ASK_AGAIN_MS_MAX).pace.askAgainMs).toBe(ROOT_ASK_AGAIN_MS_MAX);
  // The bound of a view is two seconds by default (docs/coherence.md), of which the journeys need their part.
  expect(ROOT_ASK_AGAIN_MS_MAX + ASK_AGAIN_MS_MAX).toBeLessThanOrEqual(1_500);
});

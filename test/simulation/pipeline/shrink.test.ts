import { expect, it } from 'vitest';
import type { Outcome } from './run.ts';
import { scheduleOf } from './schedule.ts';
import { shrink } from './shrink.ts';

const outcomeOf = (steps: number, violations: readonly string[]): Outcome => ({
  violations: [...violations],
  trace: [],
  steps,
  faults: 0,
  dead: 0,
});

it('stops to reduce a schedule whose runs do not end', async () => {
  let runs = 0;
  const run = async () => {
    runs += 1;
    return outcomeOf(30_001, ['It did not end.']);
  };
  await shrink(scheduleOf(1), run);
  expect(runs).toBeLessThanOrEqual(10);
});

it('keeps the one request that a failure needs', async () => {
  const failing = scheduleOf(2);
  const needed = failing.requests.at(-1);
  const run = async ({ requests }: typeof failing) =>
    outcomeOf(100, requests.some((request) => request.events[0] === needed?.events[0]) ? ['It fails.'] : []);
  const smaller = await shrink(failing, run);
  expect(failing.requests.length).toBeGreaterThan(1);
  expect(smaller.requests).toHaveLength(1);
  expect(smaller.requests[0]?.events).toEqual([needed?.events[0]]);
});

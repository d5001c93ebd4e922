import { expect, it } from 'vitest';
import { Backfill } from '../../durable-objects/outbox-relay/backfill.ts';

const MINUTE_MS = 60_000;

/** A backfill of some steps, and whether each of its steps was forced. */
function backfillOf(...steps: (boolean | Error)[]) {
  const forced: boolean[] = [];
  const backfill = new Backfill(async (isForced) => {
    forced.push(isForced);
    const outcome = steps.shift() ?? false;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  });
  return { backfill, forced };
}

it('does all steps, and nothing more until it is asked; then it asks the shards first, once a minute', async () => {
  const { backfill, forced } = backfillOf(true, true, false);
  await backfill.go(0);
  expect(forced.splice(0)).toEqual([false, false, false]);
  await backfill.go(1_000);
  expect(forced).toEqual([]);
  await backfill.go(2_000, true);
  await backfill.go(3_000, true);
  expect(forced.splice(0)).toEqual([true]);
  await backfill.go(2_000 + MINUTE_MS, true);
  expect(forced).toEqual([true]);
});

it('goes on where callers ask before the minute is over', async () => {
  const { backfill, forced } = backfillOf(...Array.from({ length: 30 }, () => true));
  await backfill.go(0, true);
  expect(forced.splice(0)).toHaveLength(25);
  await backfill.go(1, true);
  expect(forced).toEqual(Array.from({ length: 6 }, () => false));
});

it('says why a step failed until one succeeds, and waits longer after each failure', async () => {
  const { backfill, forced } = backfillOf(new Error('The event 7 is refused.'), new Error('again'), false);
  await backfill.go(0, true);
  expect(backfill.failure).toBe('Error: The event 7 is refused.');
  await backfill.go(999, true);
  expect(forced).toEqual([true]);
  await backfill.go(1_000, true);
  await backfill.go(2_999, true);
  expect(forced).toEqual([true, true]);
  await backfill.go(3_000, true);
  expect(forced).toEqual([true, true, true]);
  expect(backfill.failure).toBeUndefined();
});

it('tells its caller after the first step', async () => {
  const { backfill, forced } = backfillOf(true, false);
  const seen: number[] = [];
  await backfill.go(0, true, () => seen.push(forced.length));
  expect(seen[0]).toBe(1);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shiftToToday } from '../../import/begin.ts';
import { backoffMs } from '../../import/retry.ts';

describe('pure rules', () => {
  test('no line is moved into the future', () => {
    const instant = fc.integer({ min: 0, max: 2_000_000_000_000 });
    fc.assert(
      fc.property(instant, instant, (latest, now) => {
        const moved = latest + shiftToToday(latest, now);
        expect(moved).toBeLessThanOrEqual(now);
        expect(Math.floor(moved / 86_400_000)).toBe(Math.floor(now / 86_400_000));
      }),
    );
  });

  test('backoff has full jitter under a cap and never undercuts the server', () => {
    const failures = fc.integer({ min: 1, max: 1e6 });
    const random = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
    fc.assert(
      fc.property(failures, fc.option(fc.nat(600_000)), random, (count, asked, fraction) => {
        const wait = backoffMs(count, asked, () => fraction);
        expect(wait).toBeGreaterThanOrEqual(asked ?? 0);
        expect(wait).toBeLessThanOrEqual((asked ?? 0) + Math.min(30_000, 500 * 2 ** Math.min(count - 1, 20)));
      }),
    );
  });
});

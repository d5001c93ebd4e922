import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WarmingBudget, type WarmingLimits } from '../../../../src/cache/warming/budget.ts';

const LIMITS: WarmingLimits = { share: 0.25, burst: 8, fillsPerSecond: 20 };
const ACTIONS = ['take', 'earn', 'used', 'back'] as const;
const action = fc.record({ what: fc.constantFrom(...ACTIONS), afterMs: fc.integer({ min: 0, max: 3_000 }) });

describe('the budget of warming', () => {
  it('limits unread warms to the burst plus a share of the reads, in any order of events', () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (steps, share) => {
          const budget = new WarmingBudget({ ...LIMITS, share });
          let nowMs = 0;
          let unread = 0;
          let readerReads = 0;
          for (const { what, afterMs } of steps) {
            nowMs += afterMs;
            if (what === 'take' && budget.take(nowMs)) unread += 1;
            if (what === 'earn') {
              readerReads += 1;
              budget.earn();
            }
            if (what === 'used' && unread > 0) {
              unread -= 1;
              readerReads += 1;
              budget.used();
            }
            if (what === 'back' && unread > 0) {
              unread -= 1;
              budget.giveBack();
            }
            expect(unread).toBeLessThanOrEqual(LIMITS.burst + share * readerReads + 1e-6);
          }
        },
      ),
    );
  });

  it('bounds the fills of every second', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 300 }), (pauses) => {
        const budget = new WarmingBudget(LIMITS);
        const begun: number[] = [];
        let nowMs = 0;
        for (const pauseMs of pauses) {
          nowMs += pauseMs;
          if (budget.take(nowMs)) begun.push(nowMs);
          budget.giveBack();
        }
        for (const from of begun) {
          const within = begun.filter((atMs) => atMs >= from && atMs <= from + 1_000).length;
          expect(within).toBeLessThanOrEqual(2 * LIMITS.fillsPerSecond);
        }
      }),
    );
  });

  it('lets an accurate ranking continue, and stops an inaccurate one', () => {
    const right = new WarmingBudget(LIMITS);
    const wrong = new WarmingBudget(LIMITS);
    let rightWarms = 0;
    let wrongWarms = 0;
    for (let second = 0; second < 1_000; second += 1) {
      if (right.take(second * 1_000)) {
        rightWarms += 1;
        right.used();
      }
      if (wrong.take(second * 1_000)) wrongWarms += 1;
    }
    expect({ rightWarms, wrongWarms }).toEqual({ rightWarms: 1_000, wrongWarms: LIMITS.burst });
  });

  it('takes a token exactly if one is available', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 100 }), (steps) => {
        const budget = new WarmingBudget(LIMITS);
        let nowMs = 0;
        for (const { what, afterMs } of steps) {
          nowMs += afterMs;
          const available = budget.available(nowMs);
          expect(available).toBeGreaterThanOrEqual(0);
          if (what === 'take') expect(budget.take(nowMs)).toBe(available >= 1);
          else if (what === 'earn') budget.earn();
        }
      }),
    );
  });
});

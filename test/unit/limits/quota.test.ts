import { describe, expect, it } from 'vitest';
import { Allowance } from '../../../src/limits/allowance.ts';
import { nextPeriodMs, periodOf, quotaAnswer } from '../../../src/limits/quota.ts';

const DAY_MS = 86_400_000;
const NEW_YEARS_EVE = Date.UTC(2026, 11, 31, 23, 59, 59);

describe('a quota', () => {
  it('begins anew with each calendar day or month, in UTC', () => {
    expect([periodOf('day', NEW_YEARS_EVE), periodOf('month', NEW_YEARS_EVE)]).toEqual([
      '2026-12-31',
      '2026-12',
    ]);
    expect(nextPeriodMs('day', NEW_YEARS_EVE)).toBe(NEW_YEARS_EVE + 1_000);
    expect(nextPeriodMs('month', Date.UTC(2028, 1, 1))).toBe(Date.UTC(2028, 1, 1) + 29 * DAY_MS);
  });

  it('refuses until then', () => {
    const policy = { kind: 'quota', units: 100, period: 'day' } as const;
    expect(quotaAnswer(policy, 99, NEW_YEARS_EVE)).toEqual({ granted: 0, refusedForMs: 0, remaining: 1 });
    expect(quotaAnswer(policy, 100, NEW_YEARS_EVE)).toEqual({
      granted: 0,
      refusedForMs: 1_000,
      remaining: 0,
    });
  });

  it('is exceeded by at most the credit of each isolate and one request, and no unit is counted twice', () => {
    const policy = { kind: 'quota', units: 10_000, period: 'day' } as const;
    const isolates = [1, 2, 3, 4].map(() => new Allowance(policy, 'read', 0));
    let [used, admitted] = [0, 0];
    for (let request = 0; request < 2_000; request += 1) {
      const allowance = isolates[request % isolates.length];
      if (allowance === undefined) continue;
      let spending = allowance.spend(60, request);
      if (spending === 'low' || spending === 'ask') {
        if (spending === 'low') admitted += 60;
        const question = allowance.question(0, request);
        used += question.spent;
        allowance.answered(question, quotaAnswer(policy, used, request), request);
        spending = spending === 'ask' ? allowance.spend(60, request) : 'refused';
      }
      if (spending === 'spent' || spending === 'low') admitted += 60;
    }
    expect(admitted).toBeGreaterThanOrEqual(10_000);
    expect(admitted).toBeLessThanOrEqual(10_000 + isolates.length * (10 + 60));
  });
});

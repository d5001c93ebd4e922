import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Admission, BREAKER_RULE, Breaker, PROBE_LEASE_MS } from '../../../src/platform/breaker.ts';

const { failuresMin, spanMs, openMs, openMaxMs } = BREAKER_RULE;
/** No jitter: a breaker is open for the whole time. */
const whole = () => 1;

/** Opens a breaker. */
function opened(random: () => number = whole): { readonly breaker: Breaker; readonly nowMs: number } {
  const breaker = new Breaker(BREAKER_RULE, random);
  for (let n = 1; n < failuresMin; n += 1) expect(breaker.failed('call', 0)).toBe(false);
  expect(breaker.failed('call', spanMs)).toBe(true);
  return { breaker, nowMs: spanMs };
}

describe('a breaker', () => {
  it('stays closed for a burst of failures at the same moment, and opens if they go on', () => {
    const breaker = new Breaker(BREAKER_RULE, whole);
    for (let n = 0; n < 10 * failuresMin; n += 1) expect(breaker.failed('call', 10)).toBe(false);
    expect(breaker.admit(10, 100)).toBe('call');
    expect(breaker.failed('call', 10 + spanMs - 1)).toBe(false);
    expect(breaker.failed('call', 10 + spanMs)).toBe(true);
    expect(breaker.admit(10 + spanMs, 100)).toBe('refused');
  });

  it('stays closed while the peer answers some calls', () => {
    const breaker = new Breaker(BREAKER_RULE, whole);
    for (let n = 0; n < 100; n += 1) {
      for (let failures = 1; failures < failuresMin; failures += 1) breaker.failed('call', n * spanMs);
      breaker.succeeded();
    }
    expect(breaker.admit(1e6, 1)).toBe('call');
  });

  it('refuses while it is open, then admits one probe, and closes by its success', () => {
    const { breaker, nowMs } = opened();
    expect(breaker.admit(nowMs + openMs - 1, 100)).toBe('refused');
    expect(breaker.remainingMs(nowMs + openMs - 1)).toBe(1);
    expect(breaker.admit(nowMs + openMs, 100)).toBe('probe');
    expect(breaker.admit(nowMs + openMs, 100)).toBe('refused');
    expect(breaker.succeeded()).toBe(true);
    expect(breaker.admit(nowMs + openMs, 100)).toBe('call');
    expect(breaker.succeeded()).toBe(false);
  });

  it('admits another probe if one does not end, at its deadline, and after two seconds of a longer one', () => {
    for (const [deadlineMs, leaseMs] of [
      [100, 100],
      [30_000, PROBE_LEASE_MS],
    ] as const) {
      const { breaker, nowMs } = opened();
      const atMs = nowMs + openMs;
      expect(breaker.admit(atMs, deadlineMs)).toBe('probe');
      expect(breaker.admit(atMs + leaseMs - 1, deadlineMs)).toBe('refused');
      expect(breaker.admit(atMs + leaseMs, deadlineMs)).toBe('probe');
    }
  });

  it('doubles its pause with each probe that fails, up to the limit, and not with calls that were made before', () => {
    const { breaker, nowMs: openedMs } = opened();
    let nowMs = openedMs;
    for (const pauseMs of [openMs, 2 * openMs, 4 * openMs, 8 * openMs, openMaxMs, openMaxMs]) {
      expect(breaker.failed('call', nowMs)).toBe(false);
      expect(breaker.admit(nowMs + pauseMs - 1, 100)).toBe('refused');
      nowMs += pauseMs;
      expect(breaker.admit(nowMs, 100)).toBe('probe');
      expect(breaker.failed('probe', nowMs)).toBe(true);
    }
  });

  it('pauses for between half and all of its time, so that isolates do not probe together', () => {
    expect(opened(() => 0).breaker.remainingMs(spanMs)).toBe(openMs / 2);
    expect(opened(() => 0.5).breaker.remainingMs(spanMs)).toBe(0.75 * openMs);
  });

  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 3_000 }),
    ends: fc.constantFrom('succeeds', 'fails', 'never'),
  });

  it('never refuses for longer than its limit and a lease, and makes no two calls of a silent peer within half a pause', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 10 }),
        (steps, draws) => {
          let draw = 0;
          const breaker = new Breaker(BREAKER_RULE, () => draws[draw++ % draws.length] ?? 0);
          let nowMs = 0;
          let refusedSinceMs: number | undefined;
          let failures: number[] = [];
          for (const { afterMs, ends } of steps) {
            nowMs += afterMs;
            const admission: Admission = breaker.admit(nowMs, 10_000);
            if (admission === 'refused') {
              refusedSinceMs ??= nowMs;
              expect(nowMs - refusedSinceMs).toBeLessThanOrEqual(openMaxMs + PROBE_LEASE_MS);
              // What opened it: so many failures in a row, for so long.
              expect(failures.length).toBeGreaterThanOrEqual(failuresMin);
              expect((failures.at(-1) ?? 0) - (failures[0] ?? 0)).toBeGreaterThanOrEqual(spanMs);
              continue;
            }
            refusedSinceMs = undefined;
            if (ends === 'succeeds') {
              breaker.succeeded();
              failures = [];
            }
            if (ends === 'fails') {
              breaker.failed(admission, nowMs);
              failures.push(nowMs);
              if (admission === 'probe')
                expect(breaker.remainingMs(nowMs)).toBeGreaterThanOrEqual(openMs / 2);
            }
          }
        },
      ),
    );
  });
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Horizon } from '../../../src/cache/clock/horizon.ts';

it('passes only invalidations that are older than its length, and all that are older by a sixteenth of it more', () => {
  const pauses = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 });
  fc.assert(
    fc.property(pauses, fc.integer({ min: 16, max: 320 }), (waits, lengthMs) => {
      const horizon = new Horizon(lengthMs);
      const madeAtMs: number[] = [];
      let nowMs = 0;
      let passed = 0;
      for (const wait of waits) {
        nowMs += wait;
        madeAtMs.push(nowMs);
        horizon.note(madeAtMs.length, nowMs);
        passed = horizon.passed(nowMs) ?? passed;
        for (let seq = 1; seq <= passed; seq += 1)
          expect(nowMs - (madeAtMs[seq - 1] ?? nowMs)).toBeGreaterThan(lengthMs);
      }
      const late = nowMs + lengthMs * 2;
      passed = horizon.passed(late) ?? passed;
      const overdue = madeAtMs.findLastIndex((atMs) => late - atMs > lengthMs * (1 + 1 / 16)) + 1;
      const lastMark = madeAtMs.findLastIndex((atMs) => atMs <= nowMs - lengthMs / 16) + 1;
      expect(passed).toBeGreaterThanOrEqual(Math.min(overdue, lastMark));
    }),
  );
});

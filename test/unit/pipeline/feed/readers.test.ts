import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Readers } from '../../../../src/pipeline/feed/readers.ts';

const MAX = 3;
const LEASE_MS = 100;

it('admits new streams only to free places, and every stream that has begun', () => {
  const steps = fc.array(
    fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      act: fc.constantFrom('ask', 'ask', 'ask', 'leave'),
      afterMs: fc.nat(90),
      waitMs: fc.nat(40),
    }),
  );
  fc.assert(
    fc.property(steps, (all) => {
      const readers = new Readers(MAX, LEASE_MS);
      /** Until when a stream that was admitted has its place. */
      const until = new Map<string, number>();
      let now = 0;
      for (const { id, act, afterMs, waitMs } of all) {
        now += afterMs;
        const held = [...until].filter(([, end]) => end > now).map(([one]) => one);
        if (act === 'leave') {
          readers.leave(id);
          until.delete(id);
          continue;
        }
        const isNew = !until.has(id);
        const isAdmitted = readers.admit({ id, isNew }, now, waitMs);
        expect(isAdmitted).toBe(!isNew || held.length < MAX);
        if (isAdmitted) until.set(id, now + waitMs + LEASE_MS);
        expect(readers.count(now)).toBe([...until.values()].filter((end) => end > now).length);
      }
    }),
  );
});

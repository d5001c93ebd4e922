import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Clock, invalidate, isValid, newClock, raise } from '../../../src/cache/clock/clock.ts';
import { applyDelta, encodeDelta } from '../../../src/cache/clock/delta.ts';
import { ageMs, applySync, newMirror, type SyncAnswer } from '../../../src/cache/clock/mirror.ts';
import { SLOT_COUNT, slotOf, slotsOf } from '../../../src/cache/clock/slots.ts';

const slot = fc.integer({ min: 0, max: SLOT_COUNT - 1 });
const batch = fc.array(slot, { maxLength: 20 });

function answerOf(root: Clock, since: number): SyncAnswer {
  return {
    epoch: root.epoch,
    seq: root.seq,
    ageMs: 0,
    delta: encodeDelta(root, since),
    askAgainMs: 50,
    sources: {},
  };
}

describe('slots', () => {
  it('are within bounds, equal for equal tags, and spread', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (tag) => {
        expect(slotOf(tag)).toBe(slotOf(tag));
        expect(slotOf(tag)).toBeGreaterThanOrEqual(0);
        expect(slotOf(tag)).toBeLessThan(SLOT_COUNT);
      }),
    );
    const tags = Array.from({ length: 10_000 }, (_, index) => `product:${index}`);
    // 10,000 balls into 65,536 boxes leave about 9,275 distinct ones when thrown evenly.
    expect(slotsOf(tags).length).toBeGreaterThan(9_000);
  });
});

describe('the clock', () => {
  it('invalidates exactly the entries that depend on a slot whose version is above their stamp', () => {
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 20 }), batch, fc.nat(20), (batches, dependsOn, fillAt) => {
        const clock = newClock('e');
        let stamp = 0;
        let touchedSince = false;
        for (const [index, slots] of batches.entries()) {
          if (index === fillAt) {
            stamp = clock.seq;
            touchedSince = false;
          }
          invalidate(clock, slots);
          if (index >= fillAt || fillAt >= batches.length)
            touchedSince ||= slots.some((s) => dependsOn.includes(s));
        }
        if (fillAt >= batches.length) {
          stamp = clock.seq;
          touchedSince = false;
        }
        expect(isValid(clock, { epoch: 'e', stamp }, dependsOn)).toBe(!touchedSince);
      }),
    );
  });

  it('raises its counter by one a call, however many slots there are', () => {
    const clock = newClock('e');
    expect(invalidate(clock, [1, 2, 3])).toBe(1);
    expect(invalidate(clock, [])).toBe(2);
    expect(clock.changed[2]).toBe(1);
  });

  it('never lowers a version', () => {
    const clock = newClock('e');
    raise(clock, 7, 9);
    raise(clock, 7, 3);
    expect(clock.changed[7]).toBe(9);
  });

  it('rejects an entry of another epoch, and one whose slots are out of range', () => {
    const clock = newClock('e');
    expect(isValid(clock, { epoch: 'other', stamp: 99 }, [1])).toBe(false);
    expect(isValid(clock, { epoch: 'e', stamp: 99 }, [SLOT_COUNT])).toBe(false);
    expect(() => raise(clock, SLOT_COUNT, 1)).toThrow(RangeError);
  });
});

describe('deltas', () => {
  it('bring any mirror to the state of its root', () => {
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 15 }), fc.nat(15), (batches, knownUntil) => {
        const root = newClock('e');
        const mirror = newClock('e');
        for (const [index, slots] of batches.entries()) {
          invalidate(root, slots);
          if (index < knownUntil) applyDelta(mirror, root.seq, encodeDelta(root, mirror.seq));
        }
        applyDelta(mirror, root.seq, encodeDelta(root, mirror.seq));
        expect(mirror.seq).toBe(root.seq);
        expect(mirror.changed).toEqual(root.changed);
      }),
    );
  });

  it('may come twice, late and out of order', () => {
    fc.assert(
      fc.property(
        fc.array(batch, { minLength: 1, maxLength: 8 }),
        fc.infiniteStream(fc.nat(7)),
        (batches, order) => {
          const root = newClock('e');
          const answers = batches.map((slots) => {
            const since = root.seq;
            invalidate(root, slots);
            return { since, seq: root.seq, delta: encodeDelta(root, 0) };
          });
          const mirror = newClock('e');
          for (const index of order.take(20)) {
            const answer = answers[index % answers.length];
            if (answer !== undefined) applyDelta(mirror, answer.seq, answer.delta);
          }
          const last = answers.at(-1);
          if (last !== undefined) applyDelta(mirror, last.seq, last.delta);
          expect(mirror.changed).toEqual(root.changed);
        },
      ),
    );
  });

  it('are small: nothing for no change, a few bytes for one, under 400 KB for all', () => {
    const root = newClock('e');
    expect(encodeDelta(root, 0).byteLength).toBe(0);
    invalidate(root, [40_000]);
    expect(encodeDelta(root, 0).byteLength).toBeLessThan(8);
    for (let index = 0; index < SLOT_COUNT; index += 1) invalidate(root, [(index * 40_503) % SLOT_COUNT]);
    expect(encodeDelta(root, 0).byteLength).toBeLessThan(400_000);
  });

  it('take at most four bytes a slot for any counter', () => {
    for (const seq of [1_000_000, 2 ** 41, Number.MAX_SAFE_INTEGER]) {
      const root = newClock('e');
      root.seq = seq;
      // Every slot has been invalidated, and all of them as long ago as can be.
      for (let slot = 0; slot < SLOT_COUNT; slot += 1) raise(root, slot, 1 + slot);
      expect(encodeDelta(root, 0).byteLength).toBeLessThanOrEqual(4 * SLOT_COUNT);
    }
  });

  it('never lower a version, and raise one that lies far back by less than a 16,384th of its lag', () => {
    const seq = fc.maxSafeNat().filter((value) => value > 0);
    fc.assert(
      fc.property(seq, fc.double({ min: 0, max: 1, noNaN: true }), slot, (newest, part, changed) => {
        const root = newClock('e');
        root.seq = newest;
        raise(root, changed, Math.max(1, Math.floor(newest * part)));
        const mirror = newClock('e');
        applyDelta(mirror, root.seq, encodeDelta(root, 0));
        const exact = root.changed[changed] ?? 0;
        const got = mirror.changed[changed] ?? 0;
        expect(got).toBeGreaterThanOrEqual(exact);
        expect(got).toBeLessThanOrEqual(newest);
        const lag = newest - exact;
        expect(got - exact).toBeLessThanOrEqual(lag < 2 ** 20 ? 0 : lag / 16_384);
      }),
      { numRuns: 1_000 },
    );
  });

  it('are refused if they are truncated', () => {
    expect(() => applyDelta(newClock('e'), 9, Uint8Array.of(0x80))).toThrow(RangeError);
    expect(() => applyDelta(newClock('e'), 9, new Uint8Array(20).fill(0xff))).toThrow(RangeError);
    // Slot 0 with a lag of 2^21 - 1, beyond the codes that there are.
    expect(() => applyDelta(newClock('e'), 9, Uint8Array.of(0, 0xff, 0xff, 0x7f))).toThrow(RangeError);
  });
});

describe('a mirror', () => {
  it("counts its age from the time of sending, and adds its parent's", () => {
    const mirror = newMirror();
    expect(ageMs(mirror, 1_000)).toBe(Number.POSITIVE_INFINITY);
    applySync(mirror, { ...answerOf(newClock('e'), 0), ageMs: 300 }, { atMs: 1_000, order: 1_000 });
    expect(ageMs(mirror, 1_250)).toBe(550);
  });

  it('keeps its true age when an answer arrives late', () => {
    const root = newClock('e');
    const mirror = newMirror();
    applySync(mirror, answerOf(root, 0), { atMs: 2_000, order: 2_000 });
    invalidate(root, [5]);
    applySync(mirror, answerOf(root, 0), { atMs: 1_000, order: 1_000 });
    expect(mirror.clock.changed[5]).toBe(1);
    expect(ageMs(mirror, 2_100)).toBe(100);
  });

  it('starts again with another epoch', () => {
    const mirror = newMirror();
    const before = newClock('before');
    invalidate(before, [1, 2]);
    applySync(mirror, answerOf(before, 0), { atMs: 1_000, order: 1_000 });
    applySync(mirror, answerOf(newClock('after'), 0), { atMs: 2_000, order: 2_000 });
    expect(mirror.clock.epoch).toBe('after');
    expect(mirror.clock.seq).toBe(0);
    expect(mirror.clock.changed[1]).toBe(0);
  });

  it('never returns to an epoch that it left, whichever parent still follows it', () => {
    const mirror = newMirror();
    const before = newClock('before');
    applySync(mirror, answerOf(before, 0), { atMs: 1_000, order: 1_000 });
    applySync(mirror, answerOf(newClock('after'), 0), { atMs: 2_000, order: 2_000 });
    const answer = answerOf(before, 0);
    expect(() => applySync(mirror, answer, { atMs: 3_000, order: 3_000 })).toThrow('which has ended');
    expect(mirror.clock.epoch).toBe('after');
    expect(ageMs(mirror, 3_000)).toBe(1_000);
  });
});

import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { ClockLimits } from '../../../src/cache/clock/changed-tags.ts';
import { type Clock, invalidate, isValid, newClock } from '../../../src/cache/clock/clock.ts';
import { applyDelta, encodeDelta } from '../../../src/cache/clock/delta.ts';
import { ageMs, applySync, newMirror, type SyncAnswer } from '../../../src/cache/clock/mirror.ts';

const tag = fc.oneof(fc.nat(30), fc.integer({ min: 0, max: 0xffff_ffff }));
const batch = fc.uniqueArray(tag, { maxLength: 20 });
const limits = fc.record({
  tagsMax: fc.integer({ min: 1, max: 60 }),
  tagsPerSyncMax: fc.integer({ min: 1, max: 60 }),
});
/** More than any of these tests remembers. */
const AMPLE: ClockLimits = { tagsMax: 10_000, tagsPerSyncMax: 10_000 };

function answerOf(root: Clock, since: number): SyncAnswer {
  return { ...encodeDelta(root, since), ageMs: 0, askAgainMs: 50, sources: {} };
}

describe('the clock', () => {
  it('invalidates exactly the entries that depend on a tag which changed after their stamp', () => {
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 20 }), batch, fc.nat(20), (batches, dependsOn, fillAt) => {
        const clock = newClock('e', AMPLE);
        const filledAfter = Math.min(fillAt, batches.length);
        for (const tags of batches) invalidate(clock, tags);
        const touchedSince = batches
          .slice(filledAfter)
          .some((tags) => tags.some((t) => dependsOn.includes(t)));
        expect(isValid(clock, { epoch: 'e', stamp: filledAfter }, dependsOn)).toBe(!touchedSince);
      }),
    );
  });

  it('never calls an entry valid that has changed, however little it remembers', () => {
    fc.assert(
      fc.property(
        fc.array(batch, { maxLength: 30 }),
        batch,
        fc.nat(30),
        limits,
        (batches, dependsOn, stamp, small) => {
          const clock = newClock('e', small);
          for (const tags of batches) invalidate(clock, tags);
          const touchedSince = batches.slice(stamp).some((tags) => tags.some((t) => dependsOn.includes(t)));
          if (touchedSince) expect(isValid(clock, { epoch: 'e', stamp }, dependsOn)).toBe(false);
        },
      ),
    );
  });

  it('raises its counter by one a call, however many tags there are', () => {
    const clock = newClock('e');
    expect(invalidate(clock, [1, 2, 3])).toBe(1);
    expect(invalidate(clock, [])).toBe(2);
    expect(clock.changed.newestSeqOf(2)).toBe(1);
  });

  it('rejects an entry of another epoch, and one that was stamped before its floor', () => {
    const clock = newClock('e');
    expect(isValid(clock, { epoch: 'other', stamp: 99 }, [1])).toBe(false);
    clock.changed.forgetUpTo(5);
    expect(isValid(clock, { epoch: 'e', stamp: 4 }, [1])).toBe(false);
    expect(isValid(clock, { epoch: 'e', stamp: 5 }, [1])).toBe(true);
  });
});

describe('deltas', () => {
  it('bring any mirror to the state of its root', () => {
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 15 }), fc.nat(15), (batches, knownUntil) => {
        const root = newClock('e', AMPLE);
        const mirror = newClock('e', AMPLE);
        for (const [index, tags] of batches.entries()) {
          invalidate(root, tags);
          if (index < knownUntil) applyDelta(mirror, encodeDelta(root, mirror.seq));
        }
        applyDelta(mirror, encodeDelta(root, mirror.seq));
        expect(mirror.seq).toBe(root.seq);
        expect(mirror.changed.floorSeq).toBe(0);
        for (const t of batches.flat())
          expect(mirror.changed.newestSeqOf(t)).toBe(root.changed.newestSeqOf(t));
      }),
    );
  });

  it('may come twice, late and out of order, also through a mirror, also where little is remembered and sent', () => {
    fc.assert(
      fc.property(
        fc.array(batch, { minLength: 1, maxLength: 12 }),
        fc.infiniteStream(fc.nat(11)),
        limits,
        limits,
        batch,
        (batches, order, small, smaller, dependsOn) => {
          const root = newClock('e', small);
          const region = newClock('e', smaller);
          const deltas = batches.map((tags) => {
            invalidate(root, tags);
            return encodeDelta(root, Math.max(0, root.seq - 3));
          });
          const mirror = newClock('e', smaller);
          for (const index of order.take(24)) {
            const delta = deltas[index % deltas.length];
            if (delta === undefined) continue;
            applyDelta(region, delta);
            if (index % 2 === 0) applyDelta(mirror, encodeDelta(region, mirror.seq));
          }
          for (const clock of [region, mirror]) {
            const { seq } = clock;
            for (let stamp = 0; stamp <= seq; stamp += 1) {
              const touched = batches
                .slice(stamp, seq)
                .some((tags) => tags.some((t) => dependsOn.includes(t)));
              if (touched) expect(isValid(clock, { epoch: 'e', stamp }, dependsOn)).toBe(false);
            }
            expect(isValid(clock, { epoch: 'e', stamp: seq }, dependsOn)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('are small: nothing for no change, six bytes for one, less than 300 KB for any number', () => {
    const root = newClock('e');
    expect(encodeDelta(root, 0).changes.byteLength).toBe(0);
    invalidate(root, [40_000]);
    expect(encodeDelta(root, 0).changes.byteLength).toBe(6);
    for (let index = 0; index < 200_000; index += 5)
      invalidate(
        root,
        [0, 1, 2, 3, 4].map((n) => Math.imul(index + n, 0x9e3779b1) >>> 0),
      );
    const cold = encodeDelta(root, 0);
    expect(cold.changes.byteLength).toBeLessThan(320_000);
    expect(cold.changes.byteLength).toBeGreaterThan(200_000);
    expect(cold.sinceSeq).toBeGreaterThan(0);
    const mirror = newClock('e');
    applyDelta(mirror, cold);
    expect(mirror.changed.floorSeq).toBe(cold.sinceSeq);
  });

  it('make room once for the many changes of an isolate that has just begun', () => {
    const root = newClock('e');
    for (let index = 0; index < 60_000; index += 2)
      invalidate(root, [Math.imul(index, 0x9e3779b1) >>> 0, Math.imul(index + 1, 0x9e3779b1) >>> 0]);
    const cold = encodeDelta(root, 0);
    const mirror = newClock('e');
    let made = 0;
    const count = <Args extends unknown[], Made extends object>(of: new (...args: Args) => Made) =>
      new Proxy(of, {
        construct: (target, args: Args) => {
          made += 1;
          return Reflect.construct(target, args);
        },
      });
    vi.stubGlobal('Uint32Array', count(Uint32Array));
    vi.stubGlobal('Uint8Array', count(Uint8Array));
    applyDelta(mirror, cold);
    vi.unstubAllGlobals();
    expect(mirror.changed.length).toBe(60_000);
    // The changes, both columns of the log, the table and its filter.
    expect(made).toBe(5);
  });

  it('have a mirror remember what it would remember of one change at a time', () => {
    const changes = fc.array(fc.tuple(fc.nat(2), fc.nat(3_000)), { minLength: 900, maxLength: 2_500 });
    fc.assert(
      fc.property(changes, fc.constantFrom(500, 1_500, 262_144), fc.nat(2), (steps, tagsMax, rounds) => {
        const limits = { tagsMax, tagsPerSyncMax: 60_000 };
        const [root, mirror, one] = [newClock('e'), newClock('e', limits), newClock('e', limits)];
        for (let round = 0; round <= rounds; round += 1) {
          for (const [tags, tag] of steps)
            invalidate(
              root,
              Array.from({ length: tags + 1 }, (_, n) => tag + n * 7),
            );
          const delta = encodeDelta(root, mirror.seq);
          const known = [...root.changed.newestFirst(mirror.seq)].reverse();
          applyDelta(mirror, delta);
          for (const { seq, tag } of known) one.changed.add(seq, tag);
          expect(mirror.changed.floorSeq).toBe(one.changed.floorSeq);
          expect([...mirror.changed.newestFirst(0)]).toEqual([...one.changed.newestFirst(0)]);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('are refused if they are damaged, and leave the clock as it was', () => {
    const from = { epoch: 'e', sinceSeq: 0, floorSeq: 0, seq: 9 };
    const clock = newClock('e');
    invalidate(clock, [1]);
    for (const changes of [
      Uint8Array.of(0x80),
      new Uint8Array(20).fill(0xff),
      // One tag of invalidation 1, of which a byte is missing.
      Uint8Array.of(1, 1, 5, 0, 0),
      // Invalidation 10 of a delta up to 9.
      Uint8Array.of(10, 1, 5, 0, 0, 0),
      // The same invalidation twice.
      Uint8Array.of(1, 1, 5, 0, 0, 0, 0, 1, 6, 0, 0, 0),
    ])
      expect(() => applyDelta(clock, { ...from, changes })).toThrow(RangeError);
    expect(() => applyDelta(clock, { ...from, floorSeq: 1, changes: new Uint8Array(0) })).toThrow(RangeError);
    expect(clock.seq).toBe(1);
    expect(clock.changed.floorSeq).toBe(0);
    expect(clock.changed.length).toBe(1);
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
    expect(mirror.clock.changed.newestSeqOf(5)).toBe(1);
    expect(ageMs(mirror, 2_100)).toBe(100);
  });

  it('is too old for any reader once the wall clock was set back, until the next sync', () => {
    const mirror = newMirror();
    const hourMs = 3_600_000;
    applySync(mirror, answerOf(newClock('e'), 0), { atMs: hourMs, order: 1 });
    // Two requests may read the clock in another order than they act.
    expect(ageMs(mirror, hourMs - 100)).toBe(0);
    for (const nowMs of [0, hourMs - 101]) expect(ageMs(mirror, nowMs)).toBeGreaterThan(hourMs);
    applySync(mirror, { ...answerOf(newClock('e'), 0), ageMs: 30 }, { atMs: 1_000, order: 2 });
    expect(ageMs(mirror, 1_200)).toBe(230);
  });

  it('starts again with another epoch', () => {
    const mirror = newMirror();
    const before = newClock('before');
    invalidate(before, [1, 2]);
    applySync(mirror, answerOf(before, 0), { atMs: 1_000, order: 1_000 });
    applySync(mirror, answerOf(newClock('after'), 0), { atMs: 2_000, order: 2_000 });
    expect(mirror.clock.epoch).toBe('after');
    expect(mirror.clock.seq).toBe(0);
    expect(mirror.clock.changed.newestSeqOf(1)).toBe(0);
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

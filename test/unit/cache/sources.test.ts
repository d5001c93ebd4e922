import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newClock } from '../../../src/cache/clock/clock.ts';
import { applySync, newMirror, oldestSourceAgeMs } from '../../../src/cache/clock/mirror.ts';
import {
  closePass,
  dropSource,
  newWatermarks,
  OUTBOX,
  openPass,
  SOURCES_MAX,
  sourceAges,
} from '../../../src/cache/clock/sources.ts';

describe('watermarks', () => {
  it('are as old as the opening of the newest closed pass, in any order of ends', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1_000), fc.boolean())), (passes) => {
        const watermarks = newWatermarks('i');
        const opened = passes.map(([atMs]) => openPass(watermarks, OUTBOX, atMs));
        const closed = opened.filter((_, index) => passes[index]?.[1]);
        for (const pass of closed) closePass(watermarks, pass);
        const newest = Math.max(...closed.map(({ openedAtMs }) => openedAtMs));
        expect(oldestSourceAgeMs(watermarks.completeUntilMs, 2_000)).toBe(2_000 - newest);
      }),
    );
  });

  it('are unknown after a restart, because an earlier pass was timed by another clock', () => {
    const pass = openPass(newWatermarks('before'), OUTBOX, 5_000);
    const watermarks = newWatermarks('after');
    closePass(watermarks, pass);
    expect(oldestSourceAgeMs(watermarks.completeUntilMs, 5_001)).toBe(Number.POSITIVE_INFINITY);
  });

  it('are void after a gap until the next pass', () => {
    const watermarks = newWatermarks('i');
    closePass(watermarks, openPass(watermarks, OUTBOX, 10));
    dropSource(watermarks, OUTBOX);
    expect(oldestSourceAgeMs(watermarks.completeUntilMs, 20)).toBe(Number.POSITIVE_INFINITY);
    closePass(watermarks, openPass(watermarks, OUTBOX, 15));
    expect(oldestSourceAgeMs(watermarks.completeUntilMs, 20)).toBe(5);
  });

  it('follow the source that lags most, and need the outbox among the sources', () => {
    const watermarks = newWatermarks('i');
    closePass(watermarks, openPass(watermarks, 'orders/0', 90));
    expect(oldestSourceAgeMs(watermarks.completeUntilMs, 100)).toBe(Number.POSITIVE_INFINITY);
    closePass(watermarks, openPass(watermarks, OUTBOX, 40));
    expect(oldestSourceAgeMs(watermarks.completeUntilMs, 100)).toBe(60);
  });

  it('are bounded in number and in the length of their names', () => {
    const watermarks = newWatermarks('i');
    for (let n = 0; n < SOURCES_MAX; n += 1) closePass(watermarks, openPass(watermarks, `s${n}`, 1));
    expect(() => closePass(watermarks, openPass(watermarks, 'one more', 1))).toThrow(RangeError);
    expect(() => openPass(watermarks, 'x'.repeat(65), 1)).toThrow(RangeError);
    closePass(watermarks, openPass(watermarks, 's0', 2));
    expect(sourceAges(watermarks.completeUntilMs, 3)['s0']).toBe(1);
  });

  it('grow older along the tree by the time since each sync was sent', () => {
    const answer = {
      epoch: 'e',
      seq: 0,
      ageMs: 0,
      sinceSeq: 0,
      floorSeq: 0,
      changes: new Uint8Array(0),
      sources: { outbox: 70 },
      askAgainMs: 50,
    };
    const mirror = newMirror();
    applySync(mirror, answer, { atMs: 1_000, order: 1 });
    expect(oldestSourceAgeMs(mirror.completeUntilMs, 1_030)).toBe(100);
    // What an older sync tells late counts no longer.
    applySync(mirror, { ...answer, sources: { outbox: 0 } }, { atMs: 900, order: 0 });
    expect(oldestSourceAgeMs(mirror.completeUntilMs, 1_030)).toBe(100);
    // A gap that the root has found reaches every mirror with its next sync.
    applySync(
      mirror,
      { ...answer, sources: { outbox: Number.POSITIVE_INFINITY } },
      { atMs: 1_100, order: 2 },
    );
    expect(oldestSourceAgeMs(mirror.completeUntilMs, 1_130)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('the late answer of a clock that was recreated', () => {
  it('does not bring its epoch back', () => {
    const mirror = newMirror();
    const answer = (epoch: string) => ({
      epoch,
      seq: newClock(epoch).seq,
      ageMs: 0,
      sinceSeq: 0,
      floorSeq: 0,
      changes: new Uint8Array(0),
      sources: {},
      askAgainMs: 50,
    });
    applySync(mirror, answer('after'), { atMs: 1_000, order: 2 });
    applySync(mirror, answer('before'), { atMs: 1_000, order: 1 });
    expect(mirror.clock.epoch).toBe('after');
  });
});

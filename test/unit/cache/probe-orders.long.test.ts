import { describe, expect, it } from 'vitest';
import { type Clock, invalidate, isValid, newClock } from '../../../src/cache/clock/clock.ts';
import { applyDelta, encodeDelta } from '../../../src/cache/clock/delta.ts';
import {
  closePass,
  newWatermarks,
  OUTBOX,
  openPass,
  type SourcePass,
} from '../../../src/cache/clock/sources.ts';
import { tagHashes } from '../../../src/cache/clock/tag-hash.ts';
import { judgeDifference, type ProbeVerdict } from '../../../src/cache/probe.ts';

/**
 * Every order of what leads to a probe's verdict, by the real rules of the clock: one answer, one or two changes of
 * it, one pass over the outbox. `sync`, `serve`, `compare` and `ask` are of the isolate that answers; `fill` and
 * `read` of the one that filled the entry, which may be another: `fill` syncs its mirror and takes the stamp.
 */

const HASHES = tagHashes(['product:1']);
const READER = ['fill', 'read', 'serve', 'compare', 'ask'];
const SYNC = ['sync'];
const PASS = ['open', 'sweep', 'close'];

/** All interleavings of some sequences of steps. The yielded array is used again. */
function* orders(sequences: readonly (readonly string[])[]): Generator<readonly string[]> {
  const length = sequences.reduce((sum, { length }) => sum + length, 0);
  const next = sequences.map(() => 0);
  const order: string[] = [];
  function* further(): Generator<readonly string[]> {
    if (order.length === length) {
      yield order;
      return;
    }
    for (const [index, sequence] of sequences.entries()) {
      const step = sequence[next[index] ?? 0];
      if (step === undefined) continue;
      next[index] = (next[index] ?? 0) + 1;
      order.push(step);
      yield* further();
      order.pop();
      next[index] = (next[index] ?? 0) - 1;
    }
  }
  yield* further();
}

/** A change of the answer: `commit:` and, by its writer itself, `invalidate:`, each with the change's name. */
interface Change {
  readonly value: string;
  /** It has a row in the outbox, so a pass invalidates it. */
  readonly inOutbox: boolean;
}

interface Outcome {
  /** Undefined where the mirror did not let the entry be served, or where the comparison found no difference. */
  readonly verdict: ProbeVerdict | undefined;
  /** What the mirror itself would say if it were asked in place of the root. */
  readonly byMirror: ProbeVerdict | undefined;
  readonly isComplete: boolean;
}

/** Each order begins with new clocks. */
let root = newClock('e');
let mirror = newClock('e');

function syncMirror(losesVersions: boolean): void {
  const delta = encodeDelta(root, mirror.seq);
  applyDelta(mirror, losesVersions ? { ...delta, changes: new Uint8Array(0) } : delta);
}

function run(
  order: readonly string[],
  changes: Readonly<Record<string, Change>>,
  { losesVersions = false } = {},
): Outcome {
  root = newClock('e');
  mirror = newClock('e');
  const watermarks = newWatermarks('i');
  const pending = new Set<string>();
  let value = 'v0';
  const entry = { epoch: 'e', stamp: 0, tagHashes: HASHES };
  const at = { judgedSeq: 0, compared: 0 };
  let entryValue = '';
  let pass: SourcePass | undefined;
  let outcome: Outcome = { verdict: undefined, byMirror: undefined, isComplete: false };
  for (const [now, step] of order.entries()) {
    const [kind = '', name = ''] = step.split(':');
    const change = changes[name];
    if (kind === 'commit' && change !== undefined) {
      value = change.value;
      if (change.inOutbox) pending.add(name);
    } else if (kind === 'invalidate') {
      invalidate(root, HASHES);
    } else if (kind === 'open') {
      pass = openPass(watermarks, OUTBOX, now);
    } else if (kind === 'sweep') {
      for (const name of pending) {
        invalidate(root, HASHES);
        pending.delete(name);
      }
    } else if (kind === 'close' && pass !== undefined) {
      closePass(watermarks, pass);
    } else if (kind === 'fill') {
      entry.stamp = root.seq;
    } else if (kind === 'read') {
      entryValue = value;
    } else if (kind === 'sync') {
      syncMirror(losesVersions);
    } else if (kind === 'serve') {
      if (!isValid(mirror, entry, HASHES)) return outcome;
      at.judgedSeq = mirror.seq;
    } else if (kind === 'compare') {
      if (value === entryValue) return outcome;
      at.compared = now;
    } else if (kind === 'ask') {
      const clock = newestOf(entry.stamp);
      const isComplete = (watermarks.completeUntilMs.get(OUTBOX) ?? -1) > at.compared;
      const verdict = judgeDifference(entry, at.judgedSeq, { clock, isComplete });
      syncMirror(false);
      const byMirror = judgeDifference(entry, at.judgedSeq, { clock: mirror, isComplete });
      outcome = { verdict, byMirror, isComplete };
    }
  }
  return outcome;
}

/** The root's clock, as a probe gets it: what changed since the entry's stamp. */
function newestOf(stamp: number): Clock {
  const asked = newClock('e');
  applyDelta(asked, encodeDelta(root, stamp));
  return asked;
}

function precedes(order: readonly string[], a: string, b: string): boolean {
  return order.indexOf(a) < order.indexOf(b);
}

/** Counts what was found, so that a test over all orders cannot pass for want of cases. */
function tally(outcomes: Iterable<ProbeVerdict | undefined>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const verdict of outcomes) {
    const reason = verdict?.reason ?? 'nothing to judge';
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

describe('over all orders, an answer that differs from the origin', () => {
  it.each([
    ['to two values', 'v2'],
    ['there and back', 'v0'],
  ])('is never inconsistent where changes are in the outbox: %s', (_, second) => {
    const changes = { a: { value: 'v1', inOutbox: true }, b: { value: second, inOutbox: true } };
    const found = function* () {
      // One writer invalidates by itself, and the pass does so once more; of the other the pass alone tells.
      for (const order of orders([READER, SYNC, ['commit:a', 'invalidate:a'], ['commit:b'], PASS])) {
        if (precedes(order, 'serve', 'sync')) continue;
        yield run(order, changes).verdict;
      }
    };
    const counts = tally(found());
    expect(Object.keys(counts).sort()).toEqual(['changed_later', 'nothing to judge', 'source_behind']);
  });

  it('is a missed invalidation if no one invalidated the change and the watermarks have passed the read', () => {
    const changes = { a: { value: 'v1', inOutbox: false } };
    const found = function* () {
      for (const order of orders([READER, SYNC, ['commit:a'], PASS])) {
        const { verdict, isComplete } = run(order, changes);
        const differs = precedes(order, 'read', 'commit:a') && precedes(order, 'commit:a', 'compare');
        expect(verdict?.reason).toBe(
          differs ? (isComplete ? 'missed_invalidation' : 'source_behind') : undefined,
        );
        yield verdict;
      }
    };
    const counts = tally(found());
    expect(counts['missed_invalidation']).toBeGreaterThan(0);
    expect(counts['source_behind']).toBeGreaterThan(0);
  });

  it('is a missed invalidation if only a purge announces the change, after the root was asked', () => {
    const changes = { a: { value: 'v1', inOutbox: false } };
    const found = function* () {
      for (const order of orders([READER, SYNC, ['commit:a', 'invalidate:a'], PASS])) {
        const { verdict, isComplete } = run(order, changes);
        const isInTime = precedes(order, 'invalidate:a', 'ask');
        if (verdict !== undefined)
          expect(verdict.reason).toBe(
            isInTime ? 'changed_later' : isComplete ? 'missed_invalidation' : 'source_behind',
          );
        yield verdict;
      }
    };
    const counts = tally(found());
    for (const reason of ['changed_later', 'missed_invalidation', 'source_behind'])
      expect(counts[reason]).toBeGreaterThan(0);
  });

  it('was served although invalidated if the mirror lost a change, which only the root can show', () => {
    const changes = { a: { value: 'v1', inOutbox: true } };
    let silentByMirror = 0;
    const found = function* () {
      for (const order of orders([READER, SYNC, ['commit:a', 'invalidate:a'], PASS.slice(0, 1)])) {
        if (precedes(order, 'serve', 'sync')) continue;
        const { verdict, byMirror } = run(order, changes, { losesVersions: true });
        const hadToKnow = precedes(order, 'invalidate:a', 'sync');
        if (verdict !== undefined && hadToKnow) {
          expect(verdict.reason).toBe('served_invalidated');
          if (byMirror?.reason !== 'served_invalidated') silentByMirror += 1;
        }
        yield verdict;
      }
    };
    const counts = tally(found());
    expect(counts['served_invalidated']).toBeGreaterThan(0);
    expect(silentByMirror).toBe(counts['served_invalidated']);
  });

  it('is inconclusive after the clock was recreated or restored', () => {
    const entry = { epoch: 'e', stamp: 3, tagHashes: HASHES };
    const anew = { clock: newClock('f'), isComplete: true };
    expect(judgeDifference(entry, 5, anew)).toEqual({ verdict: 'inconclusive', reason: 'new_epoch' });
    const restored = { clock: { ...newClock('e'), seq: 4 }, isComplete: true };
    expect(judgeDifference(entry, 5, restored)).toEqual({
      verdict: 'inconclusive',
      reason: 'clock_set_back',
    });
    const forgetful = newClock('e');
    forgetful.seq = 9;
    forgetful.changed.forgetUpTo(4);
    expect(judgeDifference(entry, 5, { clock: forgetful, isComplete: true })).toEqual({
      verdict: 'inconclusive',
      reason: 'forgotten',
    });
  });
});

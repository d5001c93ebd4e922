import fc from 'fast-check';
import { expect, it } from 'vitest';
import { invalidate, newClock } from '../../../../src/cache/clock/clock.ts';
import { type Delta, encodeDelta } from '../../../../src/cache/clock/delta.ts';
import { Horizon } from '../../../../src/cache/clock/horizon.ts';
import { applyPush, applySync, newMirror } from '../../../../src/cache/clock/mirror.ts';
import { RootClock } from '../../../../src/cache/clock/root.ts';
import { withTimeout } from '../../../../src/platform/clock.ts';
import { statesOfCode } from '../../../../src/platform/phases.ts';

const ofSync = (delta: Delta) => ({ ...delta, ageMs: 0, askAgainMs: 1, sources: {} });

/** What happens at the root: an invalidation, or a switch to the states of this number. */
const steps = fc.array(fc.oneof(fc.constant('invalidate' as const), fc.nat(26)), {
  minLength: 1,
  maxLength: 20,
});

it('a mirror has the states of the newest moment that it knows, in whatever order answers and pushes come', () => {
  fc.assert(
    fc.property(
      steps,
      fc.array(fc.tuple(fc.nat(20), fc.nat(20), fc.boolean()), { maxLength: 30 }),
      (what, heard) => {
        const root = newClock('e');
        const statesAt = [root.phases.states];
        const snapshots = [{ ...root }];
        const deltas: Delta[] = [encodeDelta(root, 0)];
        for (const step of what) {
          const seq = invalidate(root, [1]);
          if (step !== 'invalidate') root.phases = { states: statesOfCode(step), seq };
          statesAt.push(root.phases.states);
          snapshots.push({ ...root });
          deltas.push(encodeDelta(root, 0));
        }
        const mirror = newMirror();
        applySync(mirror, ofSync(deltas[0] as Delta), { atMs: 0, order: 1 });
        for (const [index, [at, , isPush]] of heard.entries()) {
          const delta = deltas[at % deltas.length] as Delta;
          if (isPush) applyPush(mirror, delta);
          else applySync(mirror, ofSync(delta), { atMs: index, order: index + 2 });
          expect(mirror.clock.phases.states).toBe(statesAt[mirror.clock.seq]);
        }
      },
    ),
  );
});

it('a mirror of a new epoch has the states of that epoch', () => {
  const [old, next] = [newClock('old'), newClock('next')];
  invalidate(old, [1]);
  old.phases = { states: statesOfCode(5), seq: 1 };
  const mirror = newMirror();
  applySync(mirror, ofSync(encodeDelta(old, 0)), { atMs: 0, order: 1 });
  expect(mirror.clock.phases.states).toBe(statesOfCode(5));
  applySync(mirror, ofSync(encodeDelta(next, 0)), { atMs: 1, order: 2 });
  expect(mirror.clock.phases.states).toBe(statesOfCode(0));
});

it('a switch that cannot be persisted leaves the root as it was', async () => {
  const written: unknown[] = [];
  let isFull = true;
  const root = new RootClock(newClock('e'), new Horizon(1_000), 'i', {
    time: { now: () => 0, withTimeout },
    save: (seq, tags, _, also) => {
      also?.();
      if (isFull) throw new Error('The disk is full.');
      written.push([seq, tags]);
    },
    forget: () => undefined,
    push: async () => undefined,
    heartbeat: async () => undefined,
    keepAlive: () => undefined,
  });
  const off = statesOfCode(2);
  expect(() => root.switchPhases(off, [7], () => undefined)).toThrow('full');
  expect([root.phases, root.token.seq]).toEqual([statesOfCode(0), 0]);
  isFull = false;
  const recorded: number[] = [];
  expect(root.switchPhases(off, [7], (seq) => recorded.push(seq))).toEqual({ epoch: 'e', seq: 1 });
  expect([root.phases, recorded, written]).toEqual([off, [1], [[1, [7]]]]);
  const answer = await root.sync({ epoch: 'e', sinceSeq: 0, maxAgeMs: 0, atLeast: undefined });
  expect(answer.phases).toEqual({ states: off, seq: 1 });
});

it('an epoch that cannot be persisted leaves the root as it was', async () => {
  const root = new RootClock(newClock('e'), new Horizon(1_000), 'i', {
    time: { now: () => 0, withTimeout },
    ...{ save: () => undefined, forget: () => undefined, push: async () => undefined },
    ...{ heartbeat: async () => undefined, keepAlive: () => undefined },
  });
  const off = statesOfCode(2);
  root.switchPhases(off, [7], () => undefined);
  expect(() =>
    root.beginEpoch('next', () => {
      throw new Error('The disk is full.');
    }),
  ).toThrow('full');
  expect(root.token).toEqual({ epoch: 'e', seq: 1 });
  const floors: number[] = [];
  expect(root.beginEpoch('next', (floor) => floors.push(floor))).toEqual({ epoch: 'next', seq: 1 });
  const ask = { epoch: 'e', sinceSeq: 1, maxAgeMs: 0, atLeast: undefined };
  expect(floors).toEqual([1]);
  expect(await root.sync(ask)).toMatchObject({ epoch: 'next', sinceSeq: 1, seq: 1, phases: { states: off } });
});

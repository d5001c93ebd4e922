import { describe, expect, it } from 'vitest';
import { rolloutOf } from '../../../../src/define/rollout.ts';
import { batchesOf, type Trial } from '../../../../src/inference/feedback/trials.ts';
import { armOf } from '../../../../src/inference/rollout/assignment.ts';
import { EvidenceRecord, verdictOf } from '../../../../src/inference/rollout/evidence.ts';
import { RolloutWatch } from '../../../../src/inference/rollout/watch.ts';
import { seededRandom } from '../../../../src/platform/random.ts';
import { runsOf } from '../../../support/node/part.ts';

const DAY_MS = 86_400_000;
const NEEDS = { requests: 1, seconds: 0 };

const trialOf = (rollout: string, share: number, key: string, atMs: number, isHit: boolean): Trial => ({
  ...{ model: 'ranker', version: 'v', key, atMs, closesMs: atMs + 1, dueMs: atMs + 1, isExplored: false },
  rollout: { id: rollout, share, arm: armOf(rollout, share, key) },
  ...{ items: ['a'], answer: null, labelledMs: isHit ? atMs + 1 : null, hits: isHit ? [0] : [] },
});

describe('trials of a rollout', () => {
  it('are compared within a day, without the entities that have changed their arm', () => {
    const keys = Array.from({ length: 400 }, (_, at) => `customer-${at}`);
    const early = keys.map((key) => trialOf('r', 5, key, 0, false));
    const late = keys.map((key) => trialOf('r', 50, key, DAY_MS, true));
    const explored = { ...trialOf('r', 50, 'x', 0, true), isExplored: true };
    const [compared, ...others] = batchesOf(
      [...early, ...late, explored, { ...explored, rollout: null }],
      () => 50,
    );
    expect(others).toEqual([]);
    const atFive = keys.filter((key) => armOf('r', 5, key) === 'canary').length;
    const atFifty = keys.filter((key) => armOf('r', 50, key) === 'canary').length;
    expect(compared).toEqual({
      ...{ model: 'ranker', rollout: 'r' },
      batches: [
        [400 - atFifty, 400 - atFifty, atFive, atFive],
        [400 - atFifty, 0, atFifty, 0],
      ],
    });
  });
});

/** A rollout whose entities differ much, and whose share grows; `worse` is taken from the hit rate of the new version. */
function rolledBack(seed: number, error: number, worse: number): boolean {
  const random = seededRandom(seed);
  const rollout = `rollout-${seed}`;
  const plan = rolloutOf({ shadow: NEEDS, canary: NEEDS, error, tolerances: { misses: 1 } });
  const watch = RolloutWatch.begin(plan, 'key:a', 0, true);
  const shares = [1, 5, 25, 50];
  const likes = Array.from({ length: 1_500 }, () => random() ** 2);
  for (let day = 0; day < 12; day += 1) {
    const share = shares[Math.floor(day / 3)] ?? 50;
    // Sales are better on some days.
    const season = 0.5 + 0.5 * random();
    const trials = likes.flatMap((like, at) => {
      const key = `customer-${at}`;
      if (random() > 0.3) return [];
      const isCanary = armOf(rollout, share, key) === 'canary';
      return [trialOf(rollout, share, key, day * DAY_MS, random() < like * season - (isCanary ? worse : 0))];
    });
    for (const { batches } of batchesOf(trials, () => share)) watch.addLabels(batches);
    const { verdict, record } = watch.judge((day + 1) * 1_000);
    expect(verdictOf(EvidenceRecord.parse(JSON.parse(JSON.stringify(record))))).toEqual(verdict);
    if (verdict.action === 'roll_back') return verdict.reason === 'misses';
  }
  return false;
}

describe('a rollout by what came of its answers', () => {
  it('rolls back a version that is no worse as seldom as it states', () => {
    const error = 0.1;
    const runs = runsOf(200);
    const wrong = Array.from({ length: runs }, (_, seed) => rolledBack(seed, error, 0)).filter(
      Boolean,
    ).length;
    // The measure has a quarter of the error; the bound is three standard deviations above it.
    expect(wrong / runs).toBeLessThanOrEqual(error / 4 + 3 * Math.sqrt(error / 4 / runs));
  });

  it('rolls back a version that is much worse', () => {
    const found = Array.from({ length: 20 }, (_, seed) => rolledBack(seed, 0.1, 0.2)).filter(Boolean).length;
    expect(found).toBeGreaterThanOrEqual(18);
  });

  it('waits for as many labels as a share needs', () => {
    const plan = rolloutOf({ shadow: NEEDS, canary: { ...NEEDS, labels: 30 }, shares: [50] });
    const watch = RolloutWatch.begin(plan, 'key:a', 0, true);
    const arm = { requests: 10, errors: 0, slow: 0, scores: [] };
    const judged = (at: number) => {
      watch.add({ champion: arm, canary: arm });
      return watch.judge(at).verdict.action;
    };
    expect(judged(1)).toBe('advance');
    watch.goOn(watch.next, 1);
    expect(judged(2)).toBe('hold');
    watch.addLabels([[40, 10, 29, 8]]);
    expect(judged(3)).toBe('hold');
    watch.addLabels([[1, 0, 1, 0]]);
    expect(judged(4)).toBe('advance');
    expect(watch.record.labelled).toEqual({ champion: 41, canary: 30 });
  });

  it('derives the verdict of a record from before there were labels as it was', () => {
    const plan = rolloutOf({ shadow: NEEDS, error: 0.03 });
    const { record, verdict } = RolloutWatch.begin(plan, 'key:a', 0).judge(1);
    expect(record).not.toHaveProperty('labelled');
    expect(verdict.threshold).toBeCloseTo(Math.log(100), 12);
    const labelled = RolloutWatch.begin(plan, 'key:a', 0, true).judge(1);
    expect(labelled.verdict.threshold).toBeCloseTo(Math.log(4 / 0.03), 12);
  });
});

import { describe, expect, it } from 'vitest';
import { type DeclaredRollout, rolloutOf } from '../../../../src/define/rollout.ts';
import { EvidenceRecord, missingOf, verdictOf } from '../../../../src/inference/rollout/evidence.ts';
import { RolloutWatch } from '../../../../src/inference/rollout/watch.ts';
import { type Random, seededRandom } from '../../../../src/platform/random.ts';
import { runsOf } from '../../../support/node/part.ts';

const ROLLOUTS = runsOf(400);
const TICK_MS = 2_000;
const STEP_S = 240;

/** As in docs/learning-loop.md: ten labels for each of two shares. */
const TEN: DeclaredRollout = {
  ...{ shadow: { requests: 1, seconds: 0 }, shares: [20, 50] },
  ...{ canary: { requests: 1, seconds: 0, labels: 10 }, stepWithinSeconds: STEP_S, withinSeconds: 900 },
};
const planOf = (declared: DeclaredRollout) => rolloutOf(declared);
/** The same plan as an earlier release declared it: the number of labels alone decides. */
function withoutExclusion(declared: DeclaredRollout): ReturnType<typeof rolloutOf> {
  const plan = rolloutOf(declared);
  const { excludes: _, ...canary } = plan.canary;
  return { ...plan, canary };
}

interface Rates {
  /** The champion's share of misses, and the new version's. */
  readonly champion: number;
  readonly version: number;
}

function missesOf(requests: number, rate: number, random: Random): number {
  let misses = 0;
  for (let request = 0; request < requests; request += 1) if (random() < rate) misses += 1;
  return misses;
}

/** A whole rollout in which the share of the customers decides how many labels each arm has. @returns its end. */
function ended(plan: ReturnType<typeof rolloutOf>, { champion, version }: Rates, random: Random): string {
  const watch = RolloutWatch.begin(plan, 'system:rollout', 0, true);
  const one = { requests: 10, errors: 0, slow: 0, scores: [] };
  for (let nowMs = TICK_MS; ; nowMs += TICK_MS) {
    const share = plan.shares[watch.record.step] ?? 0;
    const [others, own] = [Math.round((20 * (100 - share)) / 100), Math.round((20 * share) / 100)];
    watch.add({ champion: one, canary: one });
    if (own > 0)
      watch.addLabels([[others, missesOf(others, champion, random), own, missesOf(own, version, random)]]);
    const { verdict, record } = watch.judge(nowMs);
    expect(verdictOf(EvidenceRecord.parse(JSON.parse(JSON.stringify(record))))).toEqual(verdict);
    if (verdict.action === 'roll_back') return verdict.reason;
    if (verdict.action === 'advance' && watch.next.stage === 'champion') return 'champion';
    if (verdict.action === 'advance') watch.goOn(watch.next, nowMs);
  }
}

function championsOf(plan: ReturnType<typeof rolloutOf>, rates: Rates, seed: number): number {
  const random = seededRandom(seed);
  let champions = 0;
  for (let at = 0; at < ROLLOUTS; at += 1) if (ended(plan, rates, random) === 'champion') champions += 1;
  return champions / ROLLOUTS;
}

/** The share of misses with so many times the odds. */
const worse = (missed: number, odds: number) => (odds * missed) / (1 - missed + odds * missed);

describe('a rollout that waits for ten labels a share', () => {
  /** Five times the tolerated odds, which are 1.2 times the champion's. */
  const bad = (champion: number): Rates => ({ champion, version: worse(champion, 6) });

  it.each([0.5, 0.7, 0.86])(
    'lets hardly any bad version become champion beside one that misses %d, as declared',
    (champion) => {
      expect(championsOf(planOf(TEN), bad(champion), 41)).toBeLessThanOrEqual(0.05);
    },
  );

  it('would let most of them pass if ten labels were enough', () => {
    expect(championsOf(withoutExclusion(TEN), bad(0.86), 41)).toBeGreaterThan(0.8);
  });

  it.each([0.24, 0.5, 0.86])('lets a version pass that is no worse than one that misses %d', (missed) => {
    const rates = { champion: missed, version: missed };
    expect(championsOf(planOf(TEN), rates, 43)).toBeGreaterThan(0.95);
  });

  it('ends as undecided if its labels never tell', () => {
    // Both versions always miss: no label says anything.
    const rates = { champion: 1, version: 1 };
    expect(ended(planOf(TEN), rates, seededRandom(1))).toBe('undecided');
  });

  it('says what the last share waits for, and of the others nothing', () => {
    const watch = RolloutWatch.begin(planOf(TEN), 'system:rollout', 0, true);
    const exclusions = [0, 1].map((step) => {
      watch.goOn({ stage: 'canary', step }, 0);
      watch.addLabels([[8, 4, 2, 1]]);
      return missingOf(watch.judge(1_000).record)?.exclusion;
    });
    expect(exclusions[0]).toBeNull();
    expect(exclusions[1]).toMatchObject({ odds: 5, passes: 0.05 });
    expect(exclusions[1]?.passesNow).toBeGreaterThan(0.05);
    expect(exclusions[1]?.passesNow).toBeLessThan(1);
  });
});

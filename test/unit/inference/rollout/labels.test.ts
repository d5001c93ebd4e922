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

/** The same plan as an earlier release declared it: its shares grow whatever the labels say. */
function withoutGrowth(declared: DeclaredRollout): ReturnType<typeof rolloutOf> {
  const plan = rolloutOf(declared);
  const { odds, passes } = plan.canary.excludes ?? {};
  if (odds === undefined || passes === undefined) throw new Error('The plan excludes no version.');
  return { ...plan, canary: { ...plan.canary, excludes: { odds, passes } } };
}

interface Ended {
  readonly end: string;
  /** Labelled answers of the new version. */
  readonly labels: number;
  /** The greatest share that it had, in percent. */
  readonly share: number;
}

/** A whole rollout in which the share of the customers decides how many labels each arm has. */
function ended(plan: ReturnType<typeof rolloutOf>, { champion, version }: Rates, random: Random): Ended {
  let labels = 0;
  const watch = RolloutWatch.begin(plan, 'system:rollout', 0, true);
  const one = { requests: 10, errors: 0, slow: 0, scores: [] };
  for (let nowMs = TICK_MS; ; nowMs += TICK_MS) {
    const share = plan.shares[watch.record.step] ?? 0;
    const [others, own] = [Math.round((20 * (100 - share)) / 100), Math.round((20 * share) / 100)];
    watch.add({ champion: one, canary: one });
    labels += own;
    if (own > 0)
      watch.addLabels([[others, missesOf(others, champion, random), own, missesOf(own, version, random)]]);
    const { verdict, record } = watch.judge(nowMs);
    expect(verdictOf(EvidenceRecord.parse(JSON.parse(JSON.stringify(record))))).toEqual(verdict);
    if (verdict.action === 'roll_back') return { end: verdict.reason, labels, share };
    if (verdict.action === 'advance' && watch.next.stage === 'champion')
      return { end: 'champion', labels, share };
    if (verdict.action === 'advance') watch.goOn(watch.next, nowMs);
  }
}

function rollouts(plan: ReturnType<typeof rolloutOf>, rates: Rates, seed: number): Ended[] {
  const random = seededRandom(seed);
  return Array.from({ length: ROLLOUTS }, () => ended(plan, rates, random));
}

/** The part of the rollouts of which something is true. */
function partOf(all: readonly Ended[], isSo: (one: Ended) => boolean): number {
  return all.filter(isSo).length / all.length;
}

function championsOf(plan: ReturnType<typeof rolloutOf>, rates: Rates, seed: number): number {
  return partOf(rollouts(plan, rates, seed), ({ end }) => end === 'champion');
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
    expect(ended(planOf(TEN), rates, seededRandom(1)).end).toBe('undecided');
  });

  it('says which bad version each share waits for, and how strictly', () => {
    const watch = RolloutWatch.begin(planOf(TEN), 'system:rollout', 0, true);
    const exclusions = [0, 1].map((step) => {
      watch.goOn({ stage: 'canary', step }, 0);
      watch.addLabels([[8, 4, 2, 1]]);
      return missingOf(watch.judge(1_000).record)?.exclusion;
    });
    expect(exclusions).toMatchObject([
      { odds: 5, passes: 0.5 },
      { odds: 5, passes: 0.05 },
    ]);
    expect(exclusions[0]?.passesNow).toBeGreaterThan(0.5);
    expect(exclusions[1]?.passesNow).toBeGreaterThan(0.05);
    expect(exclusions[1]?.passesNow).toBeLessThan(exclusions[0]?.passesNow ?? 0);
  });
});

describe('a share that is there to see a version on few entities', () => {
  const TWENTY: DeclaredRollout = { ...TEN, canary: { requests: 1, seconds: 0, labels: 20 } };
  const [FIRST, LAST] = [20, 50];
  const plan = planOf(TWENTY);

  it.each([0.24, 0.4, 0.7])(
    'grows with the declared probability, at most, for a bad version beside one that misses %d',
    (champion) => {
      const bad = { champion, version: worse(champion, 6) };
      const grown = partOf(rollouts(plan, bad, 47), ({ share }) => share === LAST);
      expect(grown).toBeLessThanOrEqual(plan.canary.excludes?.grows ?? 0);
      // Without the bound, what the labels say plays no role unless they end the rollout.
      expect(partOf(rollouts(withoutGrowth(TWENTY), bad, 47), ({ share }) => share === LAST)).toBeGreaterThan(
        grown + 0.3,
      );
    },
  );

  it.each([
    { champion: 0.24, odds: 20, labels: 60 },
    { champion: 0.4, odds: 20, labels: 60 },
    { champion: 0.4, odds: 6, labels: 120 },
    { champion: 0.7, odds: 20, labels: 120 },
  ])('is the last one that nine in ten bad versions reach, and few labels end them: %o', (of) => {
    const { champion, odds, labels } = of;
    const bad = rollouts(plan, { champion, version: worse(champion, odds) }, 53);
    expect(partOf(bad, (one) => one.end === 'misses' && one.labels <= labels)).toBeGreaterThanOrEqual(0.9);
    if (odds === 20) expect(partOf(bad, ({ share }) => share === FIRST)).toBeGreaterThanOrEqual(0.9);
  });

  it.each([0.24, 0.4, 0.7, 0.86])(
    'grows for a version within the tolerance, which is rolled back with the declared error at most: %d',
    (champion) => {
      const tolerated = rollouts(plan, { champion, version: worse(champion, 1.2) }, 59);
      expect(partOf(tolerated, ({ end }) => end === 'misses')).toBeLessThanOrEqual(plan.error);
      const same = rollouts(plan, { champion, version: champion }, 61);
      expect(partOf(same, ({ end }) => end === 'champion')).toBeGreaterThan(0.95);
      const before = rollouts(withoutGrowth(TWENTY), { champion, version: champion }, 61);
      // What it waits longer for is a few labels.
      expect(labelsOf(same)).toBeLessThan(1.1 * labelsOf(before));
    },
  );
});

/** The mean number of labels of the new version. */
function labelsOf(all: readonly Ended[]): number {
  return all.reduce((sum, { labels }) => sum + labels, 0) / all.length;
}

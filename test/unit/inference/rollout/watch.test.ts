import { describe, expect, it } from 'vitest';
import { ANY_SCORES, type DeclaredRollout, rolloutOf } from '../../../../src/define/rollout.ts';
import { armOf } from '../../../../src/inference/rollout/assignment.ts';
import {
  BATCHES_MAX,
  EvidenceRecord,
  missingOf,
  nextPosition,
  shareOf,
  verdictOf,
} from '../../../../src/inference/rollout/evidence.ts';
import { ArmTally, scoreBucket } from '../../../../src/inference/rollout/observed.ts';
import { RolloutWatch } from '../../../../src/inference/rollout/watch.ts';

const needs = { requests: 20, seconds: 10 };
/** A newer version that a training has named. */
const TRAINED = { version: 'v3', isByHand: false };
const declared: DeclaredRollout = { shadow: needs, canary: needs, shares: [10, 50], approval: true };

/** What an arm did: `of` requests with a score each. */
function arm(of: number, { errors = 0, slow = 0, score = 0.5 } = {}) {
  const tally = new ArmTally();
  for (let at = 0; at < of; at += 1)
    tally.add({ isError: at < errors, isSlow: at < slow, score: score * (1 + (at % 5) / 10) });
  return tally.counts;
}

describe('a rollout', () => {
  it('goes from step to step, each with requests and time of its own', () => {
    const watch = RolloutWatch.begin(rolloutOf(declared), 'key:a', 0);
    const seen: string[] = [];
    for (let second = 1; second <= 60; second += 1) {
      watch.add({ champion: arm(10), canary: arm(4) });
      const { verdict, record } = watch.judge(second * 1_000);
      expect(verdictOf(EvidenceRecord.parse(JSON.parse(JSON.stringify(record))))).toEqual(verdict);
      if (verdict.action !== 'advance') continue;
      const next = watch.next;
      seen.push(`${second} ${next.stage} ${shareOf(record.plan, next)}`);
      watch.goOn(next, second * 1_000);
    }
    expect(seen).toEqual(['10 canary 10', '20 canary 50', '30 waiting 50']);
    expect(nextPosition(watch.record.plan, watch.record)).toEqual({ stage: 'champion', step: 1 });
  });

  it('does not advance before its requests were seen, and ends after its time', () => {
    const watch = RolloutWatch.begin(rolloutOf({ ...declared, withinSeconds: 100 }), 'key:a', 0);
    watch.add({ champion: arm(100), canary: arm(19) });
    expect(watch.judge(50_000).verdict).toMatchObject({ action: 'hold', reason: 'too_early' });
    expect(watch.judge(100_000).verdict).toMatchObject({ action: 'roll_back', reason: 'expired' });
  });

  describe('whose step does not see what it needs', () => {
    const plan = rolloutOf({
      ...{ shadow: needs, canary: { ...needs, labels: 10 }, shares: [10, 50], stepWithinSeconds: 100 },
    });
    /** A watch in the canary, whose step began at 10 s, with enough requests or none. */
    const inCanary = (requests: number) => {
      const watch = RolloutWatch.begin(plan, 'key:a', 0, true);
      watch.add({ champion: arm(100), canary: arm(100) });
      watch.judge(5_000);
      watch.add({ champion: arm(100), canary: arm(100) });
      expect(watch.judge(10_000).verdict.action).toBe('advance');
      watch.goOn(watch.next, 10_000);
      watch.add({ champion: arm(100), canary: arm(requests) });
      return watch;
    };

    it.each([
      { requests: 0, reason: 'few_requests' },
      { requests: 100, reason: 'few_labels' },
    ])('ends after the longest time of a step ($reason)', ({ requests, reason }) => {
      const watch = inCanary(requests);
      expect(watch.judge(109_999).verdict).toMatchObject({ action: 'hold', reason: 'too_early' });
      const { verdict, record } = watch.judge(110_000);
      expect(verdict).toMatchObject({ action: 'roll_back', reason });
      expect(verdictOf(EvidenceRecord.parse(JSON.parse(JSON.stringify(record))))).toEqual(verdict);
      expect(missingOf(record)).toEqual({
        ...{ requests: Math.max(0, 20 - requests), labels: 10, ms: 0 },
        exclusion: { odds: 5, passes: 0.5, passesNow: 1 },
      });
    });

    it('gives way to a newer challenger after half of that time, and not before', () => {
      const watch = inCanary(100);
      expect(watch.judge(59_999, TRAINED).verdict.action).toBe('hold');
      const { verdict, record } = watch.judge(60_000, TRAINED);
      expect(verdict).toMatchObject({ action: 'roll_back', reason: 'overtaken' });
      expect(record.challenger).toBe('v3');
      expect(verdictOf(EvidenceRecord.parse(JSON.parse(JSON.stringify(record))))).toEqual(verdict);
      // The alias may have been cleared meanwhile.
      const again = watch.judge(60_001);
      expect(again.verdict.action).toBe('hold');
      expect(again.record).not.toHaveProperty('challenger');
    });

    it('gives way at once to a version that a person has named, and to the next of a training later again', () => {
      const watch = inCanary(100);
      const { verdict, record } = watch.judge(10_001, { version: 'v3', isByHand: true });
      expect(verdict).toMatchObject({ action: 'roll_back', reason: 'overtaken' });
      expect(verdictOf(EvidenceRecord.parse(JSON.parse(JSON.stringify(record))))).toEqual(verdict);
      const after = watch.judge(10_002, TRAINED);
      expect(after.verdict.action).toBe('hold');
      expect(after.record).not.toHaveProperty('isChallengerByHand');
    });

    it('goes on if it has seen enough, whoever waits', () => {
      const watch = inCanary(100);
      watch.addLabels([[40, 10, 10, 2]]);
      expect(watch.judge(110_000, TRAINED).verdict).toMatchObject({ action: 'advance' });
    });

    it('has the time of the whole rollout if none is declared', () => {
      const { stepWithinSeconds: _, ...without } = plan;
      const watch = RolloutWatch.begin(rolloutOf({ ...without, withinSeconds: 1_000 }), 'key:a', 0, true);
      expect(watch.judge(499_999, TRAINED).verdict.action).toBe('hold');
      expect(watch.judge(500_000, TRAINED).verdict.reason).toBe('overtaken');
      expect(watch.judge(1_000_000).verdict.reason).toBe('expired');
    });

    it('waits for a person as long as the rollout may take', () => {
      const watch = RolloutWatch.begin(rolloutOf({ ...plan, approval: true }), 'key:a', 0, true);
      watch.goOn({ stage: 'waiting', step: 1 }, 0);
      expect(watch.judge(400_000_000, { ...TRAINED, isByHand: true }).verdict).toMatchObject({
        action: 'hold',
      });
      expect(missingOf(watch.record)).toBeUndefined();
    });
  });

  it.each([
    { what: 'errors', bad: { errors: 4 } },
    { what: 'slow', bad: { slow: 4 } },
    { what: 'scores', bad: { score: 50 } },
    { what: 'scores', bad: { score: 0 } },
    { what: 'scores', bad: { score: -0.5 } },
  ])('is rolled back by $what ($bad)', ({ what, bad }) => {
    const watch = RolloutWatch.begin(rolloutOf(declared), 'key:a', 0);
    for (let second = 1; second <= 10; second += 1) {
      watch.add({ champion: arm(40), canary: arm(4, bad) });
      const { verdict } = watch.judge(second * 1_000);
      if (verdict.action === 'roll_back') {
        expect(verdict.reason).toBe(what);
        return;
      }
    }
    expect.unreachable('It was not rolled back.');
  });

  it('keeps its evidence over records and over an eviction', () => {
    const plan = rolloutOf(declared);
    const whole = RolloutWatch.begin(plan, 'key:a', 0);
    let parts = RolloutWatch.begin(plan, 'key:a', 0);
    for (let second = 1; second <= 30; second += 1) {
      const report = {
        champion: arm(10, { errors: 1 }),
        canary: arm(3, { errors: second % 3 === 0 ? 1 : 0 }),
      };
      whole.add(report);
      parts.add(report);
      const one = whole.judge(second * 1_000);
      const other = parts.judge(second * 1_000);
      expect(other.verdict.evidence.errors).toBeCloseTo(one.verdict.evidence.errors ?? Number.NaN, 9);
      parts.goOn(parts.record, second * 1_000);
      parts = RolloutWatch.restore(JSON.parse(JSON.stringify(parts.record)));
    }
    // The first four of 30 seconds went into the champion's usual range.
    expect(whole.record.requests.canary).toBe(78);
    expect(parts.record.measures.errors.batches).toEqual([]);
  });

  it('stays in the shadow until its requests were compared by their scores', () => {
    const watch = RolloutWatch.begin(rolloutOf(declared), 'key:a', 0);
    watch.add({ champion: arm(100), canary: arm(100, { score: 50 }) });
    expect(watch.judge(20_000).verdict).toMatchObject({ action: 'hold' });
    watch.add({ champion: arm(100), canary: arm(100, { score: 50 }) });
    expect(watch.judge(22_000).verdict).toMatchObject({ action: 'roll_back', reason: 'scores' });
  });

  it('does not wait for the range of scores in the shadow where any are tolerated', () => {
    const plan = rolloutOf({ ...declared, tolerances: { scores: ANY_SCORES } });
    const watch = RolloutWatch.begin(plan, 'key:a', 0);
    watch.add({ champion: arm(20), canary: arm(20, { score: 50 }) });
    expect(watch.judge(10_000).verdict).toMatchObject({ action: 'advance' });
  });

  it('says when its record is full', () => {
    const watch = RolloutWatch.begin(rolloutOf(declared), 'key:a', 0);
    for (let at = 0; at < BATCHES_MAX; at += 1) {
      expect(watch.isFull).toBe(false);
      watch.add({ champion: arm(10, { errors: 1 }), canary: arm(10) });
      watch.judge(at);
    }
    expect(watch.isFull).toBe(true);
  });
});

describe('the version of an entity', () => {
  it('is the same each time, and stays the new one as the share grows', () => {
    const keys = Array.from({ length: 4_000 }, (_, at) => `customer-${at}`);
    const shares = [1, 5, 25, 50].map((share) => keys.filter((key) => armOf('r1', share, key) === 'canary'));
    for (const [at, share] of [1, 5, 25, 50].entries()) {
      expect((shares[at]?.length ?? 0) / 40).toBeGreaterThan(share * 0.7);
      expect((shares[at]?.length ?? 0) / 40).toBeLessThan(share * 1.4);
      if (at > 0) expect(shares[at]).toEqual(expect.arrayContaining(shares[at - 1] ?? []));
    }
    const other = new Set(keys.filter((key) => armOf('r2', 25, key) === 'canary'));
    const common = (shares[2] ?? []).filter((key) => other.has(key)).length;
    expect(common / other.size).toBeLessThan(0.35);
    expect(keys.every((key) => armOf('r1', 0, key) === 'champion')).toBe(true);
    expect(keys.every((key) => armOf('r1', 100, key) === 'canary')).toBe(true);
  });
});

describe('buckets of scores', () => {
  it('are in the order of the scores, a bounded number of them', () => {
    const scores = [-1e300, -40, -1, -1e-3, -1e-30, 0, 1e-30, 1e-3, 0.2, 0.5, 1, 40, 1e300];
    const buckets = scores.map(scoreBucket);
    expect(buckets).toEqual(buckets.toSorted((a, b) => a - b));
    expect(buckets.at(0)).toBe(-200);
    expect(buckets.at(-1)).toBe(200);
  });
});

describe('a declared rollout', () => {
  it.each([{ shares: [5, 1] }, { shares: [] }, { error: 0 }, { shares: [100] }, { stepWithinSeconds: 300 }])(
    'refuses %j',
    (wrong) => {
      expect(() => rolloutOf(wrong)).toThrow(/`rollout` is wrong/);
    },
  );

  it('refuses odds that the comparison does not weigh', () => {
    const excludes = { odds: 4 as 5 };
    expect(() => rolloutOf({ canary: { excludes } })).toThrow(/"canary.excludes.odds" of `rollout` is wrong/);
  });

  it('has defaults', () => {
    expect(rolloutOf({})).toMatchObject({ start: 'by hand', shares: [1, 5, 25, 50], error: 0.01 });
    expect(rolloutOf({}).canary).not.toHaveProperty('excludes');
    expect(rolloutOf({ canary: { labels: 10 } }).canary.excludes).toEqual({
      ...{ odds: 5, passes: 0.05, grows: 0.5 },
    });
    const own = rolloutOf({ canary: { labels: 10, excludes: { odds: 2, grows: 0.2 } } });
    expect(own.canary.excludes).toEqual({ odds: 2, passes: 0.05, grows: 0.2 });
  });
});

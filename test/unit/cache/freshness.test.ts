import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decide,
  keepForS,
  maxAgeForOthers,
  mayStandIn,
  type Question,
  type ReadLevel,
  timeToLiveMs,
} from '../../../src/cache/freshness.ts';
import {
  DEFAULT_FRESHNESS_POLICY,
  FRESHNESS_MAX,
  type FreshnessPolicy,
  freshnessPolicy,
} from '../../../src/define/cache-policy.ts';
import { type Random, seededRandom } from '../../../src/platform/random.ts';

const FILLED_AT = 1_700_000_000_000;
const LEVELS: readonly ReadLevel[] = ['strong', 'session', 'bounded', 'eventual'];
/** The least eager draw: it refreshes nothing early. */
const NEVER_EARLY = 0;

function ask(
  options: Partial<Omit<Question, 'policy'>> & { policy?: Partial<FreshnessPolicy> } = {},
): Question {
  const policy = freshnessPolicy({ jitter: 0, refreshAhead: 0, ...options.policy });
  return {
    level: 'bounded',
    key: 'k',
    tags: 'valid',
    entry: { body: '{}', filledAt: FILLED_AT },
    ...options,
    policy,
  };
}

const policies = fc.record({
  ttlS: fc.nat(600),
  jitter: fc.double({ min: 0, max: FRESHNESS_MAX.jitter, noNaN: true }),
  staleWhileRevalidateS: fc.nat(600),
  staleIfErrorS: fc.nat(1_200),
  staleIfErrorFor: fc.constantFrom('bounded', 'all'),
  negativeTtlS: fc.nat(600),
  beta: fc.double({ min: 0, max: FRESHNESS_MAX.beta, noNaN: true }),
  refreshAhead: fc.double({ min: 0, max: FRESHNESS_MAX.refreshAhead, noNaN: true }),
});
const questions: fc.Arbitrary<Question> = fc.record({
  policy: policies,
  level: fc.constantFrom(...LEVELS),
  key: fc.string({ maxLength: 8 }),
  entry: fc.record({
    body: fc.constantFrom('{}', 'null'),
    filledAt: fc.integer({ min: FILLED_AT, max: FILLED_AT + 1_000 }),
    fillMs: fc.option(fc.nat(60_000), { nil: undefined }),
  }),
  tags: fc.constantFrom('valid', 'invalidated', 'unverified'),
});
const later = fc.integer({ min: -5_000, max: 1_500_000 }).map((ms) => FILLED_AT + ms);
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('a policy', () => {
  it('gets the documented defaults, and refuses values out of their limits', () => {
    expect(freshnessPolicy()).toEqual(DEFAULT_FRESHNESS_POLICY);
    for (const [field, max] of Object.entries(FRESHNESS_MAX)) {
      expect(freshnessPolicy({ [field]: max })).toMatchObject({ [field]: max });
      for (const wrong of [-1, max + 0.1, Number.NaN, Number.POSITIVE_INFINITY, '1', undefined])
        expect(() => freshnessPolicy({ [field]: wrong })).toThrow(field);
    }
  });
});

describe('the time to live', () => {
  it('is the same in every isolate, between the declared time and that time less the jitter', () => {
    fc.assert(
      fc.property(questions, ({ policy, key, entry }) => {
        const ttlS = entry.body === 'null' ? Math.min(policy.negativeTtlS, policy.ttlS) : policy.ttlS;
        const ms = timeToLiveMs(policy, key, entry);
        expect(timeToLiveMs({ ...policy }, key, { ...entry })).toBe(ms);
        expect(ms).toBeLessThanOrEqual(ttlS * 1_000);
        expect(ms).toBeGreaterThanOrEqual(ttlS * 1_000 * (1 - policy.jitter) - 1e-6);
      }),
    );
  });

  it('spreads entries that were filled together evenly, and the refills of one key', () => {
    const policy = freshnessPolicy({ ttlS: 1_000, jitter: 0.1 });
    const tenthsOf = (entries: readonly (readonly [string, number])[]) => {
      const tenths = new Array<number>(10).fill(0);
      for (const [key, filledAt] of entries) {
        const taken = 1 - timeToLiveMs(policy, key, { body: '{}', filledAt }) / 1_000_000;
        const tenth = Math.floor(taken * 100);
        tenths[tenth] = (tenths[tenth] ?? 0) + 1;
      }
      return tenths;
    };
    const together = Array.from(
      { length: 10_000 },
      (_, n) => [`view/["product",{"sku":"${n}"},{}]`, FILLED_AT] as const,
    );
    const refills = Array.from({ length: 10_000 }, (_, n) => ['k', FILLED_AT + n] as const);
    // 1,000 each, give or take five standard deviations of 30.
    for (const tenths of [tenthsOf(together), tenthsOf(refills)]) {
      expect(Math.min(...tenths)).toBeGreaterThan(850);
      expect(Math.max(...tenths)).toBeLessThan(1_150);
    }
  });

  it('is different for negative entries', () => {
    const negative = ask({
      entry: { body: 'null', filledAt: FILLED_AT },
      policy: { staleWhileRevalidateS: 0 },
    });
    expect(decide(negative, FILLED_AT + 59_999, NEVER_EARLY).serve).toBe('fresh');
    expect(decide(negative, FILLED_AT + 60_000, NEVER_EARLY)).toMatchObject({
      serve: 'no',
      reason: 'expired',
    });
    const short = ask({ ...negative, policy: { ttlS: 10, negativeTtlS: 60, staleWhileRevalidateS: 0 } });
    expect(decide(short, FILLED_AT + 10_000, NEVER_EARLY).serve).toBe('no');
  });
});

describe('a decision', () => {
  it('never serves an invalidated entry to a strong, session or bounded reader', () => {
    fc.assert(
      fc.property(questions, later, random, (question, now, draw) => {
        const { serve, refresh } = decide({ ...question, tags: 'invalidated' }, now, draw);
        if (question.level !== 'eventual') expect([serve, refresh]).toEqual(['no', 'now']);
        else expect(serve).not.toBe('fresh');
      }),
    );
  });

  it('never serves an entry that may have been invalid or expired for longer than the window', () => {
    fc.assert(
      fc.property(questions, later, random, (question, now, draw) => {
        const { policy, key, entry, tags } = question;
        if (decide(question, now, draw).serve !== 'stale') return;
        const windowMs = policy.staleWhileRevalidateS * 1_000;
        const since = tags === 'valid' ? entry.filledAt + timeToLiveMs(policy, key, entry) : entry.filledAt;
        expect(now - since).toBeLessThan(windowMs);
      }),
    );
  });

  it('treats only unexpired and verified entries as fresh', () => {
    fc.assert(
      fc.property(questions, later, random, (question, now, draw) => {
        const { serve, refresh, reason, ttlLeftS } = decide(question, now, draw);
        if (serve === 'fresh') {
          expect(ttlLeftS).toBeGreaterThanOrEqual(0);
          expect(question.tags).not.toBe('invalidated');
          if (question.tags === 'unverified') {
            expect(['bounded', 'eventual']).toContain(question.level);
            expect([refresh, reason]).toEqual(['none', 'unverified']);
          }
        }
        // A reader without an answer waits for the origin; a reader with a stale answer starts a refresh.
        expect(refresh === 'now').toBe(serve === 'no');
        if (serve === 'stale') expect(refresh).toBe('background');
      }),
    );
  });

  it('never improves as time passes, with the same random draw', () => {
    const rank = { fresh: 0, early: 1, expired: 2, invalidated: 2, unverified: 0 };
    const worse = { fresh: 0, stale: 1, no: 2 };
    fc.assert(
      fc.property(questions, later, fc.nat(600_000), random, (question, now, passed, draw) => {
        const first = decide(question, now, draw);
        const second = decide(question, now + passed, draw);
        expect(worse[second.serve]).toBeGreaterThanOrEqual(worse[first.serve]);
        expect(rank[second.reason]).toBeGreaterThanOrEqual(rank[first.reason]);
        expect(second.ttlLeftS).toBeLessThanOrEqual(first.ttlLeftS);
        expect(second.ageS).toBeGreaterThanOrEqual(first.ageS);
      }),
    );
  });

  it('goes from fresh to stale to unusable at the times that the policy declares', () => {
    const at = (afterMs: number, question = ask()) => decide(question, FILLED_AT + afterMs, NEVER_EARLY);
    expect(at(299_999)).toEqual({ serve: 'fresh', refresh: 'none', reason: 'fresh', ageS: 299, ttlLeftS: 0 });
    expect(at(300_000)).toEqual({
      serve: 'stale',
      refresh: 'background',
      reason: 'expired',
      ageS: 300,
      ttlLeftS: 0,
    });
    expect(at(329_999)).toMatchObject({ serve: 'stale', ttlLeftS: -30 });
    expect(at(330_000)).toMatchObject({ serve: 'no', refresh: 'now', reason: 'expired' });
    const eventual = ask({ level: 'eventual', tags: 'invalidated' });
    expect(at(29_999, eventual)).toMatchObject({
      serve: 'stale',
      refresh: 'background',
      reason: 'invalidated',
    });
    expect(at(30_000, eventual)).toMatchObject({ serve: 'no', reason: 'invalidated' });
    const off = ask({ policy: { staleWhileRevalidateS: 0 } });
    expect(at(300_000, off)).toMatchObject({ serve: 'no', reason: 'expired' });
  });

  it('gives an entry from a clock that is ahead at most one whole time to live', () => {
    expect(decide(ask(), FILLED_AT - 3_600_000, NEVER_EARLY)).toMatchObject({ ageS: 0, ttlLeftS: 300 });
  });
});

describe('standing in for the origin', () => {
  it('is allowed for the window after expiry, or after the fill if a tag was invalidated', () => {
    const policy = { ttlS: 300, staleIfErrorS: 600 };
    const until = (tags: Question['tags'], afterMs: number) =>
      mayStandIn(ask({ policy, tags }), FILLED_AT + afterMs);
    expect([until('valid', 899_999), until('valid', 900_000)]).toEqual([true, false]);
    expect([until('invalidated', 599_999), until('invalidated', 600_000)]).toEqual([true, false]);
    expect(mayStandIn(ask({ policy: { staleIfErrorS: 0 }, tags: 'invalidated' }), FILLED_AT)).toBe(false);
  });

  it('is allowed for bounded and eventual readers, and for all only if the policy declares it', () => {
    const levels = (staleIfErrorFor: FreshnessPolicy['staleIfErrorFor']) =>
      LEVELS.filter((level) => mayStandIn(ask({ level, policy: { staleIfErrorFor } }), FILLED_AT));
    expect(levels('bounded')).toEqual(['bounded', 'eventual']);
    expect(levels('all')).toEqual(LEVELS);
  });

  it('ends, like serving, before a tier may drop the entry', () => {
    fc.assert(
      fc.property(questions, random, (question, draw) => {
        const droppedAt = question.entry.filledAt + keepForS(question.policy) * 1_000;
        expect(decide(question, droppedAt, draw).serve).toBe('no');
        expect(mayStandIn(question, droppedAt)).toBe(false);
      }),
    );
  });
});

describe('max-age for caches outside Millrace', () => {
  const decisionAt = (ageS: number) =>
    ({ serve: 'fresh', reason: 'fresh', ageS, ttlLeftS: 300 - ageS }) as const;

  it('is 0 for strong and session reads, for stale and unverified answers, and where the bound is used up', () => {
    const base = { boundMs: 60_000, mirrorAgeMs: 0, decision: decisionAt(0) };
    expect(LEVELS.map((level) => maxAgeForOthers({ ...base, level }))).toEqual([0, 0, 60, 60]);
    const bounded = { ...base, level: 'bounded' } as const;
    expect(maxAgeForOthers({ ...bounded, decision: { ...base.decision, serve: 'stale' } })).toBe(0);
    expect(maxAgeForOthers({ ...bounded, decision: { ...base.decision, reason: 'unverified' } })).toBe(0);
    for (const mirrorAgeMs of [59_001, 60_000, 90_000, Number.POSITIVE_INFINITY])
      expect(maxAgeForOthers({ ...bounded, mirrorAgeMs })).toBe(0);
  });

  it('counts from the age that the answer carries', () => {
    expect(
      maxAgeForOthers({ level: 'bounded', boundMs: 5_000, mirrorAgeMs: 1_200, decision: decisionAt(100) }),
    ).toBe(103);
    expect(
      maxAgeForOthers({ level: 'bounded', boundMs: 60_000, mirrorAgeMs: 0, decision: decisionAt(290) }),
    ).toBe(300);
  });

  it('keeps the bound and the time to live even for the latest read from such a cache', () => {
    const nat = fc.nat(120_000);
    fc.assert(
      fc.property(nat, nat, fc.nat(300), (boundMs, mirrorAgeMs, ageS) => {
        const maxAgeS = maxAgeForOthers({
          level: 'bounded',
          boundMs,
          mirrorAgeMs,
          decision: decisionAt(ageS),
        });
        if (maxAgeS === 0) return;
        const keptMs = (maxAgeS - ageS) * 1_000;
        expect(mirrorAgeMs + keptMs).toBeLessThanOrEqual(boundMs);
        expect(maxAgeS).toBeLessThanOrEqual(300);
      }),
    );
  });
});

const FILL_MS = 200;
const EXPIRES_AT = FILLED_AT + 300_000;
const hot = (policy: Partial<FreshnessPolicy> = {}) =>
  ask({ entry: { body: '{}', filledAt: FILLED_AT, fillMs: FILL_MS }, policy });

/** The share of 20,000 reads, `leftMs` before the expiry, that refresh early. */
function earlyShare(leftMs: number, question: Question, draw: Random): number {
  let early = 0;
  for (let read = 0; read < 20_000; read += 1) {
    if (decide(question, EXPIRES_AT - leftMs, draw()).reason === 'early') early += 1;
  }
  return early / 20_000;
}

describe('early refresh (XFetch)', () => {
  it('has the probability exp(-left / (fill × beta)), so it rises towards the expiry', () => {
    const draw = seededRandom(1);
    for (const beta of [0.5, 1, 2]) {
      const shares = [5, 3, 2, 1, 0.5, 0.1].map((fills) => {
        const share = earlyShare(fills * FILL_MS, hot({ beta }), draw);
        // Three and a half standard deviations of a share out of 20,000.
        expect(Math.abs(share - Math.exp(-fills / beta))).toBeLessThan(0.0125);
        return share;
      });
      expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    }
  });

  it('does not happen without a measured fill, with beta 0, or right after a fill', () => {
    const draw = seededRandom(2);
    expect(earlyShare(1, ask(), draw)).toBe(0);
    expect(earlyShare(1, hot({ beta: 0 }), draw)).toBe(0);
    expect(earlyShare(300_000, hot(), draw)).toBe(0);
    const slow = ask({ entry: { body: '{}', filledAt: FILLED_AT, fillMs: 3_600_000 }, policy: { beta: 10 } });
    expect(earlyShare(300_000, slow, draw)).toBeLessThan(0.001);
  });

  it('accepts every random draw, the least and the greatest too', () => {
    const greatest = 1 - 2 ** -53;
    expect(decide(hot(), EXPIRES_AT - 1, 0).reason).toBe('fresh');
    expect(decide(hot(), EXPIRES_AT - 1, greatest).reason).toBe('early');
    expect(decide(hot(), EXPIRES_AT - 40 * FILL_MS, greatest).reason).toBe('fresh');
  });
});

interface Crowd {
  readonly readsPerMs: number;
  /** Whether readers see that a refresh is under way, as with a single flight. */
  readonly shared: boolean;
}

/** One life of a hot entry, from well before its expiry until its refill is there. */
function live({ readsPerMs, shared }: Crowd, question: Question, draw: Random) {
  let refreshes = 0;
  let waited = 0;
  let refilledAt = Number.POSITIVE_INFINITY;
  const stepMs = 1 / readsPerMs;
  for (let now = EXPIRES_AT - 15 * FILL_MS; now < refilledAt; now += stepMs) {
    const { serve, refresh } = decide(question, now, draw());
    if (serve === 'no') waited += 1;
    if (refresh === 'none' || (shared && refreshes > 0)) continue;
    refreshes += 1;
    refilledAt = Math.min(refilledAt, now + FILL_MS);
  }
  return { refreshes, waited };
}

function meanRefreshes(crowd: Crowd, question: Question, lives: number): number {
  const draw = seededRandom(3);
  let sum = 0;
  for (let life = 0; life < lives; life += 1) sum += live(crowd, question, draw).refreshes;
  return sum / lives;
}

describe('many readers at the same time', () => {
  it('start about exp(1 / beta) refreshes if they share no state, whatever their number', () => {
    for (const beta of [1, 2])
      for (const readsPerMs of [0.25, 2]) {
        const mean = meanRefreshes({ readsPerMs, shared: false }, hot({ beta }), 300);
        // 300 lives with a standard deviation of about 2.2 for beta 1: four standard errors are 0.5.
        expect(Math.abs(mean - Math.exp(1 / beta))).toBeLessThan(0.5);
      }
  });

  it('would start one refresh for each read during a fill without the early draw', () => {
    const crowd = { readsPerMs: 2, shared: false };
    expect(meanRefreshes(crowd, hot({ beta: 0 }), 1)).toBe(2 * FILL_MS);
  });

  it('start one refresh before the expiry if they share it, and none of them waits', () => {
    const draw = seededRandom(4);
    for (let life = 0; life < 100; life += 1) {
      const question = hot({ staleWhileRevalidateS: 0 });
      expect(live({ readsPerMs: 2, shared: true }, question, draw)).toEqual({ refreshes: 1, waited: 0 });
    }
  });
});

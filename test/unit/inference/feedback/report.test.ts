import { describe, expect, it } from 'vitest';
import { rateOf, reportOf } from '../../../../src/inference/feedback/report.ts';

describe('a hit rate', () => {
  // Of statsmodels: proportion_confint(hits, trials, method='wilson').
  it.each([
    [100, 10, 0.055_229_14, 0.174_365_66],
    [10, 0, 0, 0.277_532_8],
    [1_000, 3, 0.001_020_72, 0.008_783_9],
    [20, 20, 0.838_875_2, 1],
  ])('of %d trials with %d hits has the interval %d to %d', (trials, hits, low, high) => {
    const rate = rateOf(trials, hits);
    expect(rate.low).toBeCloseTo(low, 5);
    expect(rate.high).toBeCloseTo(high, 5);
    expect(rate.rate).toBe(hits / trials);
  });

  it('of no trial is not known', () => {
    expect(rateOf(0, 0)).toEqual({ trials: 0, hits: 0, rate: null, low: 0, high: 1 });
  });
});

it('a report has each version by itself, and the positions that were shown', () => {
  const count = (version: string, name: string, n: number) => ({ version, name, n });
  const report = reportOf({
    counts: [
      ...[count('v2', 'answers', 9), count('v2', 'trials', 4), count('v2', 'hits', 1)],
      ...[count('v2', 'shown.0', 4), count('v2', 'hit.0', 1), count('v2', 'explored.shown.1', 2)],
      ...[count('v1', 'degraded', 3), count('v1', 'dropped', 2)],
    ],
    pending: [{ version: 'v3', trials: 7, hits: 2 }],
  });
  expect(report.versions.map(({ version }) => version)).toEqual(['v1', 'v2', 'v3']);
  expect(report.versions[0]).toMatchObject({ answers: { degraded: 3 }, dropped: 2, positions: [] });
  expect(report.versions[1]).toMatchObject({
    answers: { ranked: 9, explored: 0 },
    ranked: { trials: 4, hits: 1, rate: 0.25 },
    positions: [
      { position: 1, ranked: { trials: 4, hits: 1 } },
      { position: 2, explored: { trials: 2, hits: 0 } },
    ],
  });
  expect(report.versions[2]).toMatchObject({ pending: { trials: 7, hits: 2 }, ranked: { rate: null } });
});

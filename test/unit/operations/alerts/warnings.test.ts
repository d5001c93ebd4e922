import { describe, expect, it } from 'vitest';
import {
  KEPT_VALUES,
  type Regression,
  regressionsIn,
  type SpentByName,
  spentIn,
  spentSince,
} from '../../../../src/operations/alerts/regressions.ts';
import { AHEAD_VALUES, stepsUntil, TREND_VALUES } from '../../../../src/operations/alerts/trends.ts';
import { dependenciesOf } from '../../../../src/operations/dependencies.ts';
import { type Random, seededRandom } from '../../../../src/platform/random.ts';

/** Normally distributed (Box and Muller). */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

describe('a trend', () => {
  const values = (of: (at: number) => number) => Array.from({ length: TREND_VALUES }, (_, at) => of(at));

  it('that reaches the threshold soon is foreseen, one that does not or has is not', () => {
    const random = seededRandom(1);
    const rising = values((at) => 0.0001 * at + 0.0001 * normal(random));
    const steps = stepsUntil(rising, 0.0035) ?? 0;
    expect(steps).toBeGreaterThan(6);
    expect(steps).toBeLessThan(20);
    expect(stepsUntil(rising, 0.01)).toBeUndefined();
    expect(stepsUntil(rising, 0.001)).toBeUndefined();
    expect(
      stepsUntil(
        values(() => 0),
        0.001,
      ),
    ).toBeUndefined();
    expect(stepsUntil(rising.toReversed(), 0.01)).toBeUndefined();
  });

  it('is not seen in one outlier, and not in few values', () => {
    expect(
      stepsUntil(
        values((at) => (at === 23 ? 0.9 : 0.001)),
        0.01,
      ),
    ).toBeUndefined();
    expect(stepsUntil(values((at) => at * 0.001).slice(0, 10), 0.02)).toBeUndefined();
  });

  it('is a false alarm in at most one of a thousand series without a trend', () => {
    let alarms = 0;
    const series = 4_000;
    for (let seed = 1; seed <= series; seed += 1) {
      const random = seededRandom(seed);
      // A threshold so near that any rise reaches it.
      const found = stepsUntil(
        values(() => 0.001 + 0.0002 * normal(random)),
        0.0012,
      );
      if (found !== undefined && found <= AHEAD_VALUES) alarms += 1;
    }
    expect(alarms).toBeLessThanOrEqual(series / 1_000 + 4);
  });
});

describe('a regression', () => {
  const spentOf = (value: number, events = 100): SpentByName =>
    new Map([['GET /v1/a', [events, value * events]]]);
  const run = (length: number, valueAt: (bucket: number) => number, deploy?: number): Regression[] =>
    regressionsIn(
      Array.from({ length }, (_, bucket) => ({ bucket, spent: spentOf(valueAt(bucket)) })),
      deploy,
    );
  const noisy = (seed: number) => {
    const random = seededRandom(seed);
    return () => 20 + normal(random);
  };

  it('of half as much again is found against the last days, with the rate of its false alarms', () => {
    const usual = noisy(1);
    const found = run(KEPT_VALUES, (bucket) => usual() * (bucket >= KEPT_VALUES - 3 ? 1.5 : 1));
    expect(found).toMatchObject([{ name: 'GET /v1/a', against: 'days', oneIn: 51_030_225 }]);
  });

  it('is found against the deploy before, which the last days do not show yet', () => {
    const usual = noisy(2);
    const found = run(200, (bucket) => usual() * (bucket > 150 ? 1.5 : 1), 150);
    expect(found.map(({ against, oneIn }) => [against, oneIn])).toEqual([
      ['days', 187_460],
      ['deploy', 156_849],
    ]);
  });

  it.each([
    ['two of three values', (bucket: number, value: number) => (bucket >= KEPT_VALUES - 2 ? 2 : 1) * value],
    ['less than a fifth', (bucket: number, value: number) => (bucket >= KEPT_VALUES - 3 ? 1.18 : 1) * value],
  ])('is none by %s', (_, change) => {
    expect(run(KEPT_VALUES, (bucket) => change(bucket, 20))).toEqual([]);
  });

  it('is none with few events, and none with few earlier values', () => {
    const jump = (length: number) => (bucket: number) => (bucket >= length - 3 ? 90 : 20);
    expect(run(90, jump(90))).toEqual([]);
    const few = Array.from({ length: KEPT_VALUES }, (_, bucket) => ({
      bucket,
      spent: spentOf(jump(KEPT_VALUES)(bucket), 29),
    }));
    expect(regressionsIn(few, undefined)).toEqual([]);
  });

  it('is no false alarm in two months of a route whose days differ in their hours and whose hours resemble each other', () => {
    const random = seededRandom(7);
    let drift = 0;
    const values: { bucket: number; spent: SpentByName }[] = [];
    let alarms = 0;
    for (let bucket = 0; bucket < 60 * 96; bucket += 1) {
      drift = 0.9 * drift + normal(random);
      const day = 4 * Math.sin((2 * Math.PI * bucket) / 96);
      values.push({ bucket, spent: spentOf(Math.max(1, 20 + day + drift)) });
      if (values.length > KEPT_VALUES) values.shift();
      // Each verdict is of three values, so every third one is of others.
      if (bucket % 3 === 0) alarms += regressionsIn(values, undefined).length;
    }
    expect(alarms).toBeLessThanOrEqual(1);
  });

  it('counts milliseconds of routes, fills of views and calls for a request', () => {
    const sample = (name: string, labels: Record<string, string>, value: number) => ({ name, labels, value });
    const route = { method: 'GET', route: '/v1/a' };
    const totals = [
      sample('millrace_http_requests_total', { ...route, status: '200' }, 10),
      sample('millrace_http_request_duration_ms_total', route, 250),
      sample('millrace_http_requests_total', { method: 'GET', route: '/v1/admin/audit', status: '200' }, 7),
      sample('millrace_cache_answers_total', { view: 'a', outcome: 'hit' }, 9),
      sample('millrace_cache_fills_total', { view: 'a', outcome: 'ok' }, 3),
      sample('millrace_peer_calls_total', { peer: 'kv', outcome: 'ok' }, 5),
    ];
    const spent = spentIn(totals);
    expect([...spent]).toEqual([
      ['GET /v1/a', [10, 250]],
      ['view a', [9, 3]],
      ['service kv', [10, 5]],
    ]);
    expect(spentSince(spent, new Map([['GET /v1/a', [12, 300]]]))).toEqual(new Map([['GET /v1/a', [2, 50]]]));
  });
});

describe('the dependencies', () => {
  const call = (outcome: string, value: number) => ({
    ...{ name: 'millrace_peer_calls_total', labels: { peer: 'kv', outcome }, value },
  });
  const slow = {
    name: 'millrace_peer_call_duration_bucket_total',
    labels: { peer: 'kv', le: '0.1' },
    value: 3,
  };
  const of = (name: string, samples: Parameters<typeof dependenciesOf>[0], isOk?: boolean) =>
    dependenciesOf(
      samples,
      { kv: { atMs: 5, failed: 1, calls: 2 } },
      isOk === undefined ? {} : { [name]: { isOk, ms: 4, message: isOk ? null : 'Error: timeout' } },
      [{ peer: 'kv', message: 'TypeError: Network connection lost.', atMs: 6 }],
    )
      .filter((found) => found.name === name)
      .at(0);

  it.each([
    ['idle', undefined, undefined],
    ['idle', [], undefined],
    ['ok', [call('ok', 100), slow], undefined],
    ['degraded', [call('ok', 90), call('timeout', 10)], undefined],
    ['failing', [call('ok', 1), call('failed', 10)], undefined],
    ['failing', [call('ok', 100)], false],
    ['degraded', [call('ok', 1), call('failed', 10)], true],
  ] as const)('are %s', (state, samples, isOk) => {
    expect(of('kv', samples, isOk)?.state).toBe(state);
  });

  it('have bounds of their latency, and the newest minute with errors', () => {
    expect(of('kv', [call('ok', 3), slow])).toMatchObject({
      ...{ p50Ms: 100, p99Ms: 100, lastError: { atMs: 5, failed: 1, calls: 2 }, checked: null },
      lastMessage: 'TypeError: Network connection lost.',
    });
  });
});

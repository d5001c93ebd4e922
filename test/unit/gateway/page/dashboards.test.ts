import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALERTS, QUARANTINE, TRAINING } from '../../../../src/gateway/page/browser/dashboards/lists.ts';
import {
  ANSWERS,
  type Answers,
  HIT_RATIO,
  LATENCY,
  PEER_CALLS,
  REQUEST_BUCKETS,
  REQUESTS,
  routeRows,
  summaryOf,
  TRAFFIC,
} from '../../../../src/gateway/page/browser/dashboards/panels.ts';
import {
  BOUNDS_MS,
  type Buckets,
  bucketsOf,
  type Counts,
  countsOf,
  perSecond,
  quantileOf,
  type Series,
  sumOf,
  withNewest,
} from '../../../../src/gateway/page/browser/dashboards/series.ts';
import {
  alertsTile,
  availabilityTile,
  hitRatioTile,
  latencyTile,
  objectiveTiles,
  savedTile,
} from '../../../../src/gateway/page/browser/dashboards/tiles.ts';
import { eventParser } from '../../../../src/gateway/page/browser/server-events.ts';
import { DURATION_BOUNDS_MS } from '../../../../src/platform/durations.ts';

const FIRST = 30_000_000;
const END_MS = (FIRST + 4) * 60_000;

function counts(series: readonly Series[], firstMinute = FIRST, steps = 4): Counts {
  return { stepMinutes: 1, firstMinute, steps, series };
}

const request = (status: string, values: readonly number[], route = '/v1/a'): Series => ({
  metric: REQUESTS,
  labels: { route, status },
  values,
});
const bucket = (le: string, values: readonly number[], route = '/v1/a'): Series => ({
  metric: REQUEST_BUCKETS,
  labels: { route, le },
  values,
});

function answers(series: Partial<Record<keyof Answers, readonly Series[]>>): Answers {
  const of = (name: keyof Answers) => counts(series[name] ?? []);
  return {
    requests: of('requests'),
    durations: of('durations'),
    answers: of('answers'),
    peers: of('peers'),
    models: of('models'),
  };
}

describe('durations', () => {
  it('have the bounds of the worker', () => {
    expect(BOUNDS_MS).toEqual([...DURATION_BOUNDS_MS]);
  });

  it('are between the bounds of the bucket that the exact one is in', () => {
    const ms = fc.integer({ min: 0, max: 20_000 });
    fc.assert(
      fc.property(
        fc.array(ms, { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (all, part) => {
          const sorted = all.toSorted((a, b) => a - b);
          const exact = sorted[Math.max(0, Math.ceil(part * all.length) - 1)] ?? 0;
          const boundOf = (value: number) =>
            BOUNDS_MS.find((bound) => value <= bound) ?? Number.POSITIVE_INFINITY;
          const buckets: Buckets = new Map(
            [...Map.groupBy(all, boundOf)].map(([bound, own]) => [bound, own.length]),
          );
          const found = quantileOf(buckets, part) ?? Number.NaN;
          const upper = boundOf(exact);
          const lower =
            upper === Number.POSITIVE_INFINITY ? upper : (BOUNDS_MS[BOUNDS_MS.indexOf(upper) - 1] ?? 0);
          expect(found).toBeGreaterThanOrEqual(lower);
          expect(found).toBeLessThanOrEqual(upper);
        },
      ),
    );
  });

  it('are not known without requests', () => {
    expect(quantileOf(bucketsOf(counts([]), REQUEST_BUCKETS), 0.99)).toBeNull();
  });
});

describe('counts', () => {
  it('are those of the route', () => {
    const json = { ...counts([request('200', [1, 2, 3, 4])]), omitted: 0 };
    expect(countsOf(JSON.parse(JSON.stringify(json)))).toEqual(counts([request('200', [1, 2, 3, 4])]));
    expect(() => countsOf({ code: 'statistics_unavailable' })).toThrow('The answer has no stepMinutes.');
  });

  it('of the present step are divided by the time that has passed of it', () => {
    expect(perSecond(counts([]), [60, 60, 60, 60], END_MS - 30_000)).toEqual([1, 1, 1, 2]);
    // Of a step that has just begun, ten seconds are the least; of one that has not, nothing is known.
    expect(perSecond(counts([]), [0, 0, 0, 5], END_MS - 59_000).at(-1)).toBe(0.5);
    expect(perSecond(counts([]), [0, 0, 0, 5], END_MS - 61_000).at(-1)).toBeNull();
  });

  it('of newer minutes take the place of the last ones, whatever came between', () => {
    const known = counts([request('200', [1, 2, 3, 4])]);
    const newest = counts([request('200', [4, 9, 7]), request('500', [0, 0, 1])], FIRST + 3, 3);
    expect(withNewest(known, newest)).toEqual(
      counts([request('200', [3, 4, 9, 7]), request('500', [0, 0, 0, 1])], FIRST + 2),
    );
    const late = counts([request('200', [5, 6, 7])], FIRST + 100, 3);
    expect(withNewest(known, late)).toEqual(counts([request('200', [0, 5, 6, 7])], FIRST + 99));
    expect(withNewest(known, counts([request('200', [9])], FIRST, 1))).toBe(known);
  });
});

describe('panels', () => {
  const all = counts([
    request('200', [60, 0, 0, 0]),
    request('404', [0, 60, 0, 0]),
    request('500', [0, 0, 60, 0], '/v1/b'),
  ]);

  it('are of all routes, or of one', () => {
    const names = (route: string | undefined) => {
      const drawn = TRAFFIC.draw(all, { route, nowMs: END_MS });
      return drawn.kind === 'heat' ? [] : drawn.lines.map(({ name }) => name);
    };
    expect(names(undefined)).toEqual(['2xx', '4xx', '5xx']);
    expect(names('/v1/b')).toEqual(['5xx']);
  });

  it('say in words what they draw', () => {
    const drawn = TRAFFIC.draw(all, { route: '/v1/a', nowMs: END_MS });
    expect(summaryOf(drawn)).toBe('2xx: 0 now, at most 1.0; 4xx: 0 now, at most 1.0.');
    const heat = LATENCY.draw(counts([bucket('0.005', [1, 0, 0, 0]), bucket('+Inf', [0, 0, 2, 0])]), {
      route: undefined,
      nowMs: END_MS,
    });
    expect(summaryOf(heat)).toBe('3 requests; most took > 10 s.');
    expect(summaryOf(TRAFFIC.draw(counts([]), { route: undefined, nowMs: END_MS }))).toBe(
      'Nothing was counted.',
    );
  });

  it('have no hit ratio in a step without reads', () => {
    const of = (outcome: string, values: readonly number[]): Series => ({
      metric: ANSWERS,
      labels: { outcome, tier: '' },
      values,
    });
    const drawn = HIT_RATIO.draw(counts([of('hit', [3, 0, 1, 0]), of('miss', [1, 0, 0, 2])]), {
      route: undefined,
      nowMs: END_MS,
    });
    expect(drawn.kind === 'heat' ? [] : drawn.lines[0]?.values).toEqual([0.75, null, 1, 0]);
  });

  it('name each route with its failures and durations', () => {
    const rows = routeRows({ requests: all, durations: counts([bucket('0.01', [60, 60, 0, 0])]) });
    expect(rows.map(({ route, requests, failed }) => [route, requests, failed])).toEqual([
      ['/v1/a', 120, 0],
      ['/v1/b', 60, 60],
    ]);
    expect(rows[0]?.p99).toBeCloseTo(9.95);
    expect(rows[1]?.p99).toBeNull();
  });
});

describe('numbers', () => {
  it('say whether an objective is kept, and of how many requests', () => {
    const kept = answers({ requests: [request('200', [999, 0, 0, 0]), request('503', [1, 0, 0, 0])] });
    expect(availabilityTile(kept)).toMatchObject({ value: '99.90 %', state: 'good' });
    const missed = answers({ requests: [request('200', [997, 0, 0, 0]), request('503', [3, 0, 0, 0])] });
    expect(availabilityTile(missed)).toMatchObject({ value: '99.70 %', state: 'bad' });
    expect(availabilityTile(answers({}))).toMatchObject({ value: '–', state: 'unknown' });
  });

  it('do not take slow answers for fast ones', () => {
    const slow = answers({ durations: [bucket('0.1', [90, 0, 0, 0]), bucket('0.25', [10, 0, 0, 0])] });
    expect(latencyTile(slow)).toMatchObject({ state: 'bad' });
    expect(latencyTile(answers({ durations: [bucket('0.1', [100, 0, 0, 0])] }))).toMatchObject({
      state: 'good',
    });
  });

  it('count what the cache saved', () => {
    const of = answers({
      answers: [
        { metric: ANSWERS, labels: { outcome: 'hit', tier: 'memory' }, values: [80, 0, 0, 0] },
        { metric: ANSWERS, labels: { outcome: 'miss', tier: '' }, values: [20, 0, 0, 0] },
      ],
      peers: [
        { metric: PEER_CALLS, labels: { peer: 'database', outcome: 'ok', le: '' }, values: [20, 0, 0, 0] },
      ],
    });
    expect(hitRatioTile(of)).toMatchObject({ value: '80.0 %', state: 'good' });
    expect(savedTile(of)).toMatchObject({ value: '80' });
    expect(sumOf(of.peers, PEER_CALLS)).toEqual([20, 0, 0, 0]);
  });

  it('leave out alerts that their cause withholds, and do not take no answer for no alert', () => {
    const alert = (alertname: string, inhibitedBy: string | null) => ({
      alertname,
      state: 'firing',
      inhibitedBy,
    });
    const alerts = { alerts: [alert('DatabaseDown', null), alert('SlowAnswers', 'DatabaseDown')] };
    expect(alertsTile({ alerts })).toMatchObject({ value: '1', note: 'DatabaseDown', state: 'bad' });
    expect(alertsTile({ alerts: { alerts: [] } })).toMatchObject({ value: '0', state: 'good' });
    expect(alertsTile({})).toMatchObject({ value: '–', state: 'unknown' });
  });

  it('show what is left of the budget of each objective', () => {
    const objective = (left: number | null) => ({
      name: 'availability',
      description: 'Requests are answered.',
      target: 0.999,
      budget: { all: 1_000, bad: 1, left },
    });
    const tile = (left: number | null) => objectiveTiles({ alerts: { objectives: [objective(left)] } })[0];
    expect(tile(0.6)).toMatchObject({ value: '60.0 %', state: 'good' });
    expect(tile(0.1)).toMatchObject({ state: 'warn' });
    expect(tile(-2)).toMatchObject({ value: 'overspent', state: 'bad' });
    expect(tile(null)).toMatchObject({ value: '–', state: 'unknown' });
  });
});

describe('lists', () => {
  it('offer what may be done about a row', () => {
    const nowMs = Date.UTC(2030, 0, 1);
    const alert = {
      alertname: 'A&B',
      state: 'firing',
      summary: 's',
      since: '2029-12-31T23:00:00Z',
      runbook: 'r',
    };
    const [row] = ALERTS.rows({ alerts: [{ ...alert, inhibitedBy: null, silencedBy: null }] }, nowMs);
    expect(row?.cells.map(({ text }) => text)).toEqual(['firing', 'A&B', 's', '1 h ago', 'r']);
    expect(row?.actions[0]).toMatchObject({
      path: '/v1/admin/silences',
      body: { matchers: [{ label: 'alertname', value: 'A&B' }], endsAt: '2030-01-01T01:00:00.000Z' },
    });
    const run = {
      id: 'a/b',
      state: 'training',
      model: 'm',
      reason: 'drift',
      begunAt: '2029-12-31T23:59:59Z',
    };
    const [training] = TRAINING.rows(
      { runs: [{ ...run, endedAt: null, progress: { done: 1, of: 4 } }] },
      nowMs,
    );
    expect(training?.actions[0]?.path).toBe('/v1/training/a%2Fb/cancel');
    expect(training?.cells[3]?.text).toBe('1 of 4');
  });

  it('take nothing for granted in an answer', () => {
    for (const json of [undefined, null, {}, { events: null }, { events: [null, 1, {}] }])
      expect(() => QUARANTINE.rows(json, 0)).not.toThrow();
  });
});

it('events may be cut anywhere', () => {
  const text = 'event: series\ndata: {"a":1}\n\nevent: failed\ndata: {"code":"x"}\n\n';
  fc.assert(
    fc.property(fc.array(fc.nat(text.length)), (cuts) => {
      const found: [string, unknown][] = [];
      const parse = eventParser((name, data) => found.push([name, data]));
      const at = [0, ...cuts.toSorted((a, b) => a - b), text.length];
      for (const [index, from] of at.slice(0, -1).entries()) parse(text.slice(from, at[index + 1]));
      expect(found).toEqual([
        ['series', { a: 1 }],
        ['failed', { code: 'x' }],
      ]);
    }),
  );
});

import { describe, expect, it } from 'vitest';
import { DEFAULT_OBJECTIVES } from '../../../../src/define/objectives.ts';
import type { AlertEvent } from '../../../../src/operations/alerts/alerts.ts';
import { watchRulesOf } from '../../../../src/operations/alerts/watch.ts';
import { type Evaluated, evaluate, rising, type Series } from '../../../support/alerts/series.ts';

const MINUTE_MS = 60_000;
const RULES = watchRulesOf(DEFAULT_OBJECTIVES, MINUTE_MS);

const requests = (status: number, totals: number[]): Series => ({
  name: 'millrace_http_requests_total',
  labels: { method: 'GET', route: '/v1/products/{sku}', status: String(status) },
  totals,
});
const calls = (peer: string, outcome: string, totals: number[]): Series => ({
  name: 'millrace_peer_calls_total',
  labels: { peer, outcome },
  totals,
});
const told = (evaluated: readonly Evaluated[]) =>
  evaluated.flatMap(({ minute, events }) =>
    events.map(({ type, alert }: AlertEvent) => [
      minute,
      type,
      alert.alertname,
      ...Object.values(alert.labels),
    ]),
  );
const during =
  (from: number, to: number, inside: number, outside = 0) =>
  (minute: number) =>
    minute > from && minute <= to ? inside : outside;

/** From minute 60 to 70 the database does not answer, and with it half of the requests and what calls it. */
function deadDatabase(minutes: number): Series[] {
  return [
    requests(200, rising(minutes, during(60, 70, 50, 100))),
    requests(503, rising(minutes, during(60, 70, 50))),
    calls('database', 'ok', rising(minutes, during(60, 70, 0, 200))),
    calls('database', 'timeout', rising(minutes, during(60, 70, 100))),
    ...['outbox-relay', 'feedback', 'training-runs'].flatMap((peer) => [
      calls(peer, 'ok', rising(minutes, during(60, 71, 0, 10))),
      calls(peer, 'failed', rising(minutes, during(60, 71, 10))),
    ]),
    {
      name: 'millrace_cache_answers_total',
      labels: { outcome: 'hit', view: 'product', reason: '' },
      totals: rising(minutes, during(60, 70, 10, 90)),
    },
    {
      name: 'millrace_cache_answers_total',
      labels: { outcome: 'stand_in', view: 'product', reason: 'origin-unavailable' },
      totals: rising(minutes, during(60, 70, 90, 10)),
    },
    {
      name: 'millrace_stream_checks_total',
      labels: { stage: 'clock', result: 'behind' },
      totals: rising(minutes, during(61, 70, 1)),
    },
    {
      name: 'millrace_stream_checks_total',
      labels: { stage: 'clock', result: 'kept_up' },
      totals: rising(minutes, during(61, 70, 0, 1)),
    },
  ];
}

describe('the evaluation', () => {
  it('makes one alert of a dead database, from its first minutes to its end, and nothing afterwards', () => {
    const evaluated = evaluate(RULES, deadDatabase(900), 900);
    expect(told(evaluated)).toEqual([
      [63, 'firing', 'MillraceDependencyFails', 'database'],
      [76, 'resolved', 'MillraceDependencyFails', 'database'],
    ]);
  });

  it('withholds what the dead database causes, and says so', () => {
    const [at65] = evaluate(RULES, deadDatabase(65), 65).slice(-1);
    const alerts = Object.values(at65?.state.alerts ?? {});
    const withheld = alerts.filter(({ inhibitedBy }) => inhibitedBy === 'MillraceDependencyFails (database)');
    expect(withheld.map(({ labels }) => labels['peer']).sort()).toEqual([
      'feedback',
      'outbox-relay',
      'training-runs',
    ]);
  });

  it('alerts of an error rate without a cause, and ends with it', () => {
    const series = [
      requests(
        200,
        rising(300, () => 85),
      ),
      requests(503, rising(300, during(60, 120, 15))),
    ];
    const found = told(evaluate(RULES, series, 300));
    expect(found[0]).toEqual([67, 'firing', 'MillraceAvailabilityBurns', 'availability']);
    // The window of 30 minutes has forgotten the errors at 149; the alert is kept for five minutes. A ticket is left.
    expect(found.map(([, type]) => type)).toEqual(['firing']);
  });

  it.each([0, 1, 2, 3])(
    'does not alert of %d failed calls unless they are most of at least three',
    (failed) => {
      const series = [
        calls(
          'database',
          'failed',
          rising(20, (minute) => (minute === 10 ? failed : 0)),
        ),
      ];
      const found = told(evaluate(RULES, series, 20)).filter(([, type]) => type === 'firing');
      expect(found).toHaveLength(failed >= 3 ? 1 : 0);
    },
  );

  it('damps a service that comes and goes: one alert', () => {
    // Six minutes dead, four minutes alive, five times.
    const isDead = (minute: number) => minute >= 60 && minute < 110 && minute % 10 < 6;
    const series = [
      calls(
        'queue',
        'ok',
        rising(200, (minute) => (isDead(minute) ? 0 : 20)),
      ),
      calls(
        'queue',
        'failed',
        rising(200, (minute) => (isDead(minute) ? 20 : 0)),
      ),
    ];
    expect(told(evaluate(RULES, series, 200)).map(([, type]) => type)).toEqual(['firing', 'resolved']);
  });

  it('alerts when nothing can be counted, and then of nothing else', () => {
    const series = [
      requests(
        200,
        rising(90, () => 10),
      ),
      requests(
        500,
        rising(90, () => 90),
      ),
    ];
    const evaluated = evaluate(RULES, series, 90, { isDown: (minute) => minute > 2 && minute < 20 });
    const found = told(evaluated);
    expect(found.filter(([minute]) => Number(minute) < 20)).toEqual([[5, 'firing', 'MillraceDown']]);
    expect(found.find(([, type]) => type === 'resolved')).toEqual([20, 'resolved', 'MillraceDown']);
  });

  it('tells nobody of a silenced alert, and tells when the silence ends before the alert', () => {
    const silence = {
      ...({ id: 's', kind: 'silence', author: 'key:a', comment: 'known' } as const),
      matchers: [{ label: 'peer', is: '=', value: 'que*' } as const],
      startsMs: 0,
      endsMs: 75 * MINUTE_MS,
    };
    const series = [calls('queue', 'failed', rising(90, during(60, 90, 20)))];
    const evaluated = evaluate(RULES, series, 90, { silences: [silence] });
    expect(told(evaluated)).toEqual([[75, 'firing', 'MillraceDependencyFails', 'queue']]);
    expect(Object.values(evaluated[70]?.state.alerts ?? {})[0]).toMatchObject({
      silencedBy: 's',
      state: 'firing',
    });
  });

  it('repeats what goes on for four hours', () => {
    const series = [
      calls(
        'queue',
        'failed',
        rising(600, () => 20),
      ),
    ];
    expect(told(evaluate(RULES, series, 600)).map(([minute, type]) => [minute, type])).toEqual([
      [2, 'firing'],
      [242, 'repeated'],
      [482, 'repeated'],
    ]);
  });

  it('counts nothing when an object has lost counts, and goes on from there', () => {
    const totals = rising(200, () => 100).map((total, minute) => (minute >= 100 ? total - 150 : total));
    const series = [
      requests(200, totals),
      requests(
        500,
        rising(200, () => 0),
      ),
    ];
    expect(told(evaluate(RULES, series, 200))).toEqual([]);
  });
});

import type { Indicator } from '../../define/objectives.ts';
import type { CounterSample } from '../../platform/counters.ts';
import { type DurationNames, UNBOUNDED } from '../../platform/durations.ts';
import { PROBE_SAMPLES } from '../consistency.ts';
import { CACHE_ANSWERS } from '../hit-ratio.ts';
import { QUALITY_CHECKS } from '../quality/metrics.ts';
import { REQUEST_DURATIONS, REQUESTS } from '../requests.ts';
import { isSelected, type Matcher, promSelector, type Selector } from './selectors.ts';
import { STREAM_CHECKS } from './stream-checks.ts';

/** Events of an indicator, and the bad ones among them. */
export interface BadOfAll {
  readonly bad: number;
  readonly all: number;
}

/**
 * The series that an indicator counts. The rules of Prometheus and the evaluation in the worker are both made of it.
 *
 * `within`: a histogram, of which the durations beyond a bound are bad.
 */
export type Measure =
  | { readonly kind: 'share'; readonly bad: Selector; readonly all: Selector }
  | {
      readonly kind: 'within';
      readonly durations: DurationNames;
      readonly labels: Readonly<Record<string, Matcher>>;
      readonly withinMs: number;
    };

export function measureOf(indicator: Indicator): Measure {
  switch (indicator.of) {
    case 'requests': {
      const labels = requestLabels(indicator);
      return share(REQUESTS, labels, { status: { begins: '5' } });
    }
    case 'durations': {
      const labels = requestLabels(indicator);
      return { kind: 'within', durations: REQUEST_DURATIONS, labels, withinMs: indicator.withinMs };
    }
    case 'cache_hits':
      return share(CACHE_ANSWERS, {}, { outcome: { noneOf: ['hit', 'stale'] } });
    case 'cache_uptime':
      return share(CACHE_ANSWERS, {}, { reason: { is: 'clock-unavailable' } });
    case 'consistency':
      return {
        kind: 'share',
        bad: { name: PROBE_SAMPLES, labels: { verdict: { is: 'inconsistent' } } },
        all: { name: PROBE_SAMPLES, labels: { verdict: { oneOf: ['consistent', 'inconsistent'] } } },
      };
    case 'quality':
      return share(QUALITY_CHECKS, {}, { result: { is: 'failed' } });
    case 'stream_checks':
      return share(
        STREAM_CHECKS,
        indicator.stages === undefined ? {} : { stage: { oneOf: indicator.stages } },
        { result: { is: 'behind' } },
      );
  }
}

function share(name: string, all: Selector['labels'] & object, bad: Selector['labels'] & object): Measure {
  return { kind: 'share', bad: { name, labels: { ...all, ...bad } }, all: { name, labels: all } };
}

/** The labels of the requests that count. */
function requestLabels({ methods, routes }: Extract<Indicator, { of: 'requests' | 'durations' }>) {
  const route: Matcher = routes === undefined ? { beginsNot: '/v1/admin/' } : { oneOf: routes };
  return methods === undefined ? { route } : { method: { oneOf: methods }, route };
}

/** PromQL of the share of bad events: no series without events, and 0 without bad ones. */
export function badShare(measure: Measure, window: string): string {
  const rate = (series: string) => `sum(rate(${series}[${window}]))`;
  if (measure.kind === 'share')
    return `(${rate(promSelector(measure.bad))} or vector(0)) / (${rate(promSelector(measure.all))} > 0)`;
  const { durations, labels, withinMs } = measure;
  const of = (suffix: string, more: Readonly<Record<string, Matcher>> = {}) =>
    rate(promSelector({ name: `${durations.histogram}${suffix}`, labels: { ...labels, ...more } }));
  return `1 - ${of('_bucket', { le: { is: String(withinMs / 1_000) } })} / (${of('_count')} > 0)`;
}

/** What the counters of the isolates say of an indicator. Their buckets are not cumulative, unlike those of the text format. */
export function countsOf(measure: Measure, totals: readonly CounterSample[]): BadOfAll {
  if (measure.kind === 'share') return { bad: sumOf(measure.bad, totals), all: sumOf(measure.all, totals) };
  const { durations, labels, withinMs } = measure;
  const buckets = totals.filter((sample) => isSelected({ name: durations.bucket, labels }, sample));
  const sum = (of: readonly CounterSample[]) => of.reduce((total, { value }) => total + value, 0);
  const isLate = ({ labels: { le = UNBOUNDED } }: CounterSample) =>
    le === UNBOUNDED || Number(le) * 1_000 > withinMs;
  return { bad: sum(buckets.filter(isLate)), all: sum(buckets) };
}

function sumOf(selector: Selector, totals: readonly CounterSample[]): number {
  let sum = 0;
  for (const sample of totals) if (isSelected(selector, sample)) sum += sample.value;
  return sum;
}

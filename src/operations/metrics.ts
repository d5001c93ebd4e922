import {
  type CounterReport,
  type CounterSample,
  DROPPED,
  type ExemplarSample,
  WINDOWS_MINUTES,
} from '../platform/counters.ts';
import { DURATION_BOUNDS_MS, type DurationNames, UNBOUNDED } from '../platform/durations.ts';
import { PEER_BYTES, PEER_CALLS, PEER_DURATIONS } from '../platform/peer.ts';
import { SPANS } from '../platform/tracing/counts.ts';
import { OUTBOX_WAITING, STREAM_CHECKS } from './alerts/stream-checks.ts';
import { consistencyOf, PROBE_SAMPLES } from './consistency.ts';
import { DEPRECATED_REQUESTS, withoutPrincipals } from './deprecations.ts';
import { byView, CACHE_ANSWERS, CACHE_FILLS, ratioOf } from './hit-ratio.ts';
import {
  DEAD_LETTERS,
  DRIFT_VERDICTS,
  FEATURE_VALUES,
  LIMITED,
  LINEAGE_LOST,
  MODEL_PARITY,
  MODEL_RUNS,
  PREDICTED_ITEMS,
  PREDICTION_BATCHES,
  PREDICTIONS,
  QUEUE_DELAYS,
  REFILLS,
  ROLLOUT_LOST,
  SERVED_LOGGED,
  SKEW_CHECKS,
  STALENESS,
  TRAINING_RUNS,
} from './observation.ts';
import { REQUEST_DURATIONS, REQUESTS } from './requests.ts';

/** A metric with its series, as in the text format. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly series: readonly MetricSeries[];
}
interface MetricSeries {
  /** What the series of a histogram adds to the name of the metric. */
  readonly suffix?: '_bucket' | '_count' | '_sum';
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** A recorded trace that the sample counts. The older format leaves it out. */
  readonly exemplar?: Pick<ExemplarSample, 'traceId' | 'spanId' | 'value' | 'atMs'> | undefined;
}

/** Prometheus' text format, version 0.0.4. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const COUNTER_HELP: Readonly<Record<string, string>> = {
  [CACHE_ANSWERS]: 'Answers to reads of cached routes, by view, outcome, tier and reason.',
  [CACHE_FILLS]:
    'Reads of the origin that fill the cache, background refreshes and warming included, by outcome.',
  [DEPRECATED_REQUESTS]: 'Requests of deprecated versions, by version.',
  [REFILLS]: 'Refills of invalidated entries, by view and by whether the content had changed.',
  [DEAD_LETTERS]: 'Messages or parts of them that were kept as dead letters, by queue.',
  [FEATURE_VALUES]: 'Values of features that were read from shards, by entity and status.',
  [PREDICTIONS]: 'Computed predictions, by model, source and why the model did not answer.',
  [PREDICTED_ITEMS]: 'Items and rows that computed predictions have scored, by model.',
  [PREDICTION_BATCHES]: 'Computed predictions, by model and by how many items and rows each scored.',
  [DRIFT_VERDICTS]:
    'Judged groups of the rows that a model was asked about, by model and verdict: stable or drifting.',
  [TRAINING_RUNS]: 'Trainings that have begun or ended, by model and state.',
  [OUTBOX_WAITING]: 'Changes that waited in the outbox, added up over the checks of each minute.',
  [PEER_BYTES]: 'Bytes of answers of the database and of syncs of the clock, by peer.',
  [DROPPED]: 'Counts that were dropped because there were too many series.',
  [MODEL_RUNS]: 'Runs of models, by model and by the tier that computed them: evaluator or runtime.',
  [MODEL_PARITY]: 'Runs of models that both tiers computed, by model and verdict: agrees or differs.',
  [LIMITED]: 'Requests that were refused because a budget was used up, by budget and lane.',
  [ROLLOUT_LOST]: 'Requests that the comparison of a rollout lacks, because a report failed.',
  [SKEW_CHECKS]:
    'Served predictions that were computed again from history, by model and verdict: match, mismatch or unknown.',
  [SERVED_LOGGED]: 'Served predictions of the share that is logged, by outcome: logged or lost.',
  [LINEAGE_LOST]: 'Runs and predictions that lineage could not store, by reason.',
  [PEER_CALLS]: 'Calls of the isolates to other services and the database, by peer and outcome.',
  [SPANS]: 'Spans of kept traces, by outcome: exported, refused or dropped.',
  [REQUESTS]: 'Requests, by method, route and status.',
  [STREAM_CHECKS]: 'Checks of whether the pipeline keeps up, by stage and result.',
  [PROBE_SAMPLES]: 'Answers from the cache that were compared with the origin, by verdict.',
};

const HISTOGRAMS: readonly (readonly [DurationNames, string])[] = [
  [REQUEST_DURATIONS, 'Time from the arrival of a request to the head of its answer, by method and route.'],
  [PEER_DURATIONS, 'Time of calls to other services and the database, whatever their outcome, by peer.'],
  [STALENESS, 'Age of the mirror of the clock that validated answers from the cache, by view.'],
  [QUEUE_DELAYS, 'Time that messages of a queue waited for a consumer, each delivery counted, by queue.'],
];
/** Counters that are shown as a part of a histogram only. */
const OF_HISTOGRAMS: ReadonlySet<string> = new Set(HISTOGRAMS.flatMap(([{ bucket, sum }]) => [bucket, sum]));
const BOUNDS = [...DURATION_BOUNDS_MS.map((ms) => String(ms / 1_000)), UNBOUNDED];

/** A histogram of the text format: its buckets are cumulative, and there is each of them. */
function histogramOf(
  { bucket, sum, histogram }: DurationNames,
  help: string,
  totals: readonly CounterSample[],
  exemplars: readonly ExemplarSample[],
): Metric {
  const groups = new Map<
    string,
    { labels: CounterSample['labels']; counts: Map<string, number>; ms: number }
  >();
  for (const { name, labels, value } of totals) {
    if (name !== bucket && name !== sum) continue;
    const { le, ...of } = labels;
    const key = JSON.stringify(of);
    const group = groups.get(key) ?? { labels: of, counts: new Map<string, number>(), ms: 0 };
    groups.set(key, group);
    if (le === undefined) group.ms = value;
    else group.counts.set(le, value);
  }
  const traced = new Map(
    exemplars.flatMap((one) => {
      const { le, ...of } = one.labels;
      return one.name === bucket ? [[JSON.stringify([sorted(of), le]), one] as const] : [];
    }),
  );
  const series = [...groups.values()].flatMap(({ labels, counts, ms }): MetricSeries[] => {
    let count = 0;
    const buckets = BOUNDS.map((le) => {
      count += counts.get(le) ?? 0;
      const exemplar = traced.get(JSON.stringify([sorted(labels), le]));
      return { suffix: '_bucket', labels: { ...labels, le }, value: count, exemplar } as const;
    });
    return [
      ...buckets,
      { suffix: '_sum', labels, value: ms / 1_000 },
      { suffix: '_count', labels, value: count },
    ];
  });
  return { name: histogram, help, type: 'histogram', series };
}

/** All counters, and the ratios derived from them in each window. */
export function metricsOf(report: CounterReport): Metric[] {
  const totals = withoutPrincipals(report.totals);
  const names = [...new Set(totals.map(({ name }) => name))]
    .filter((name) => !OF_HISTOGRAMS.has(name))
    .sort();
  const counters = names.map(
    (name): Metric => ({
      name,
      help: COUNTER_HELP[name] ?? 'Counted by the isolates.',
      type: 'counter',
      series: totals.filter((sample) => sample.name === name),
    }),
  );
  const histograms = HISTOGRAMS.map(([names, help]) =>
    histogramOf(names, help, totals, report.exemplars ?? []),
  );
  return [...counters, ...histograms.filter(({ series }) => series.length > 0), ...gaugesOf(report)];
}

function gaugesOf({ windows, isolates }: CounterReport): Metric[] {
  const each = <T>(make: (samples: readonly CounterSample[], window: string) => T[]): T[] =>
    WINDOWS_MINUTES.flatMap((minutes) => make(windows[minutes], `${minutes}m`));
  const ofAll = each((samples, window) => [{ labels: { window }, of: ratioOf(samples) }]);
  const ofViews = each((samples, window) =>
    Object.entries(byView(samples)).map(([view, of]) => ({ labels: { view, window }, of })),
  );
  const consistency = each((samples, window) => [{ labels: { window }, of: consistencyOf(samples) }]);
  return [
    gauge('millrace_cache_hit_ratio', 'Answers from the cache over all answers.', ratios(ofAll)),
    gauge('millrace_view_hit_ratio', 'The same of each view.', ratios(ofViews)),
    gauge('millrace_cache_tier_hit_ratio', 'Answers from one tier over all answers.', tierRatios(ofAll)),
    gauge('millrace_view_tier_hit_ratio', 'The same of each view.', tierRatios(ofViews)),
    gauge(
      'millrace_consistency_nines',
      'Nines of consistency of sampled answers; a lower bound if no sample was inconsistent.',
      consistency.filter(({ of }) => of.samples > 0).map(({ labels, of }) => ({ labels, value: of.nines })),
    ),
    gauge(
      'millrace_consistency_samples',
      'Sampled answers with a verdict.',
      consistency.map(({ labels, of }) => ({ labels, value: of.samples })),
    ),
    gauge(
      'millrace_consistency_inconsistent',
      'Sampled answers that were inconsistent; if this is 0, the nines are a lower bound.',
      consistency.map(({ labels, of }) => ({ labels, value: of.inconsistent })),
    ),
    gauge('millrace_isolates', 'Isolates that have reported in the last five minutes.', [
      { labels: {}, value: isolates.active },
    ]),
    gauge('millrace_cache_memory_bytes', 'Approximate size of the memory tiers of these isolates.', [
      { labels: {}, value: isolates.memoryBytes },
    ]),
  ];
}

function sorted(labels: CounterSample['labels']): [string, string][] {
  return Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** A ratio with the labels of its series. */
interface LabelledRatio {
  readonly labels: Readonly<Record<string, string>>;
  readonly of: ReturnType<typeof ratioOf>;
}

function ratios(found: readonly LabelledRatio[]): Metric['series'] {
  return found.flatMap(({ labels, of }) => (of.ratio === null ? [] : [{ labels, value: of.ratio }]));
}

function tierRatios(found: readonly LabelledRatio[]): Metric['series'] {
  return found.flatMap(({ labels, of }) =>
    Object.entries(of.tiers).map(([tier, value]) => ({ labels: { ...labels, tier }, value })),
  );
}

function gauge(name: string, help: string, series: Metric['series']): Metric {
  return { name, help, type: 'gauge', series };
}

/** Metrics as text. Label values are escaped as the format requires: backslash, quote and line feed. */
export function metricsText(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ name, help, type, series }) => [
    `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
    `# TYPE ${name} ${type}`,
    ...series.map(({ suffix = '', labels, value }) => `${name}${suffix}${labelsText(labels)} ${value}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

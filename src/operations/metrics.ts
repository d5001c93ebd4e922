import { type CounterReport, type CounterSample, WINDOWS_MINUTES } from '../platform/counters.ts';
import { consistencyOf } from './consistency.ts';
import { byView, ratioOf } from './hit-ratio.ts';

/** A metric with its series, as the text format has it. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly series: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

/** Prometheus' text format, version 0.0.4. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const COUNTER_HELP: Readonly<Record<string, string>> = {
  millrace_cache_answers_total: 'Answers to reads of cached routes, by view and by how they came about.',
  millrace_probe_samples_total: 'Answers from the cache that were compared with the origin, by verdict.',
};

/** Everything that is counted, and what follows from it in each window. */
export function metricsOf(report: CounterReport): Metric[] {
  const names = [...new Set(report.totals.map(({ name }) => name))].sort();
  const counters = names.map(
    (name): Metric => ({
      name,
      help: COUNTER_HELP[name] ?? 'Counted by the isolates.',
      type: 'counter',
      series: report.totals.filter((sample) => sample.name === name),
    }),
  );
  return [...counters, ...gaugesOf(report)];
}

function gaugesOf({ windows }: CounterReport): Metric[] {
  const each = <T>(make: (samples: readonly CounterSample[], window: string) => T[]): T[] =>
    WINDOWS_MINUTES.flatMap((minutes) => make(windows[minutes], `${minutes}m`));
  const ratio = each((samples, window) =>
    Object.entries({ ...byView(samples), '': ratioOf(samples) }).flatMap(([view, of]) =>
      of.ratio === null ? [] : [{ labels: view === '' ? { window } : { view, window }, value: of.ratio }],
    ),
  );
  const consistency = each((samples, window) => [{ labels: { window }, of: consistencyOf(samples) }]);
  const gauge = (name: string, help: string, series: Metric['series']): Metric => {
    return { name, help, type: 'gauge', series };
  };
  return [
    gauge(
      'millrace_cache_hit_ratio',
      'Answers out of the cache over all answers; without a view, of all.',
      ratio,
    ),
    gauge(
      'millrace_consistency_nines',
      'Nines of consistency of sampled answers; with nothing inconsistent, what the samples can show.',
      consistency.filter(({ of }) => of.samples > 0).map(({ labels, of }) => ({ labels, value: of.nines })),
    ),
    gauge(
      'millrace_consistency_samples',
      'Sampled answers with a verdict.',
      consistency.map(({ labels, of }) => ({ labels, value: of.samples })),
    ),
  ];
}

/** Metrics as text. Label values are escaped as the format asks: backslash, quote and line feed. */
export function metricsText(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ name, help, type, series }) => [
    `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
    `# TYPE ${name} ${type}`,
    ...series.map(({ labels, value }) => `${name}${labelsText(labels)} ${value}`),
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

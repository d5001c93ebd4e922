import type { Tallies } from '../../pipeline/quality/tally.ts';
import type { CounterSample } from '../../platform/counters.ts';
import type { Metric } from '../metrics.ts';
import type { QualityReport } from './report.ts';

type Series = Metric['series'][number];

/** Checks of rules on single events. */
export const QUALITY_CHECKS = 'millrace_quality_checks_total';

/** The totals since the first count, and the scores of each window. */
export function qualityMetricsOf(report: QualityReport, totals: Tallies): Metric[] {
  const windows = Object.entries(report.windows);
  const scores = windows.flatMap(([window, { score }]) => series({ window }, score));
  const ofTypes = windows.flatMap(([window, { types }]) =>
    Object.entries(types).flatMap(([type, { score }]) => series({ type, window }, score)),
  );
  const ofDimensions = windows.flatMap(([window, { types }]) =>
    Object.entries(types).flatMap(([type, { dimensions }]) =>
      Object.entries(dimensions).flatMap(([dimension, { score }]) =>
        series({ dimension, type, window }, score),
      ),
    ),
  );
  const shifts = windows.flatMap(([window, { types }]) =>
    Object.entries(types).flatMap(([type, { rules }]) =>
      rules.flatMap(({ rule, shift }) => series({ rule, type, window }, shift?.psi ?? null)),
    ),
  );
  const gates = windows.flatMap(([window, { gate }]) =>
    series({ window }, gate.verdict === 'insufficient_data' ? null : Number(gate.verdict === 'passed')),
  );
  return [
    ...totalsOf(totals),
    {
      name: 'millrace_quality_score',
      help: 'Score of the data of all event types, 0 to 1.',
      type: 'gauge',
      series: scores,
    },
    {
      name: 'millrace_quality_type_score',
      help: 'Score of the data of an event type, 0 to 1.',
      type: 'gauge',
      series: ofTypes,
    },
    {
      name: 'millrace_quality_dimension_score',
      help: 'Score of a dimension of the data of an event type, 0 to 1.',
      type: 'gauge',
      series: ofDimensions,
    },
    {
      name: 'millrace_quality_gate_passed',
      help: '1 if the score of all types is at least 0.95, else 0; absent with too few events.',
      type: 'gauge',
      series: gates,
    },
    {
      name: 'millrace_quality_shift_psi',
      help: 'Population stability index of a distribution against the days before the window.',
      type: 'gauge',
      series: shifts,
    },
  ];
}

/** The checks of rules on single events, as counters. */
export function qualityChecksOf(totals: Tallies): CounterSample[] {
  return Object.entries(totals).flatMap(([type, { rules }]) =>
    Object.entries(rules).flatMap(([rule, { dimension, judged, failed }]) => [
      { name: QUALITY_CHECKS, labels: { dimension, result: 'passed', rule, type }, value: judged - failed },
      { name: QUALITY_CHECKS, labels: { dimension, result: 'failed', rule, type }, value: failed },
    ]),
  );
}

function totalsOf(totals: Tallies): Metric[] {
  const types = Object.entries(totals);
  const events = types.flatMap(([type, tally]) => [
    { labels: { outcome: 'stored', type }, value: tally.events - tally.refused },
    { labels: { outcome: 'quarantined', type }, value: tally.refused },
  ]);
  return [
    {
      name: 'millrace_quality_events_total',
      help: 'Scored events, by outcome.',
      type: 'counter',
      series: events,
    },
    {
      name: QUALITY_CHECKS,
      help: 'Checks of rules on single events.',
      type: 'counter',
      series: qualityChecksOf(totals).map(({ labels, value }) => ({ labels, value })),
    },
  ];
}

function series(labels: Readonly<Record<string, string>>, value: number | null): Series[] {
  return value === null ? [] : [{ labels, value }];
}

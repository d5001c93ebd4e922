import type { Metric } from './metrics.ts';

/** The text format of OpenMetrics 1.0.0, which has exemplars. */
export const OPEN_METRICS_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const TOTAL = '_total';

/**
 * Metrics in the format of OpenMetrics: a family of counters has no `_total` in its name, its samples have, and a bucket of
 * a histogram may name a trace that fell into it.
 */
export function openMetricsText(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ name, help, type, series }) => {
    const family = type === 'counter' && name.endsWith(TOTAL) ? name.slice(0, -TOTAL.length) : name;
    return [
      `# HELP ${family} ${escaped(help)}`,
      `# TYPE ${family} ${type}`,
      ...series.map(({ suffix, labels, value, exemplar }) => {
        const sample = `${family}${suffix ?? (type === 'counter' ? TOTAL : '')}${labelsText(labels)} ${value}`;
        if (exemplar === undefined) return sample;
        const { traceId, spanId, value: seconds, atMs } = exemplar;
        return `${sample} # ${labelsText({ trace_id: traceId, span_id: spanId })} ${seconds} ${atMs / 1_000}`;
      }),
    ];
  });
  return `${lines.join('\n')}\n# EOF\n`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** Backslash, quote and line feed, in labels and in texts of help alike. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { consistencyOf, PROBE_SAMPLES } from '../../../src/operations/consistency.ts';
import { CACHE_ANSWERS, cacheReportOf } from '../../../src/operations/hit-ratio.ts';
import { type Metric, metricsOf, metricsText } from '../../../src/operations/metrics.ts';
import type { CounterReport, CounterSample } from '../../../src/platform/counters.ts';

function answers(view: string, outcome: string, tier: string, value: number): CounterSample {
  return { name: CACHE_ANSWERS, labels: { view, outcome, tier, reason: '' }, value };
}
function samples(verdict: string, value: number): CounterSample {
  return { name: PROBE_SAMPLES, labels: { view: 'product', verdict, reason: 'r' }, value };
}
const reportOf = (counted: CounterSample[]): CounterReport => ({
  totals: counted,
  windows: { 1: counted, 5: counted, 60: counted },
  isolates: { active: 3, memoryBytes: 4_096 },
});

describe('the hit ratio', () => {
  const counted = [
    answers('product', 'hit', 'memory', 80),
    answers('product', 'stale', 'kv', 5),
    answers('product', 'collapsed', '', 10),
    answers('product', 'miss', '', 5),
    answers('products', 'hit', 'colo', 30),
    answers('products', 'miss', '', 70),
    answers('customer', 'hit', 'memory', 99),
  ];

  it('counts answers from a tier, by view and by tier; a collapsed miss is not a hit', () => {
    const { windows } = cacheReportOf(reportOf(counted));
    expect(windows[5].views['product']).toEqual({
      answers: 100,
      ratio: 0.85,
      tiers: { memory: 0.8, kv: 0.05 },
      from: { memory: 80, kv: 5, collapsed: 10, origin: 5 },
    });
    expect(windows[5].all).toMatchObject({ answers: 299, ratio: (85 + 30 + 99) / 299 });
  });

  it('passes its gate above 70 %, with enough answers', () => {
    const { gate } = cacheReportOf(reportOf(counted));
    expect(gate).toEqual({
      all: 'passed',
      views: { product: 'passed', products: 'failed', customer: 'not_enough' },
    });
    const exact = [answers('v', 'hit', 'memory', 700), answers('v', 'miss', '', 300)];
    expect(cacheReportOf(reportOf(exact)).gate.all).toBe('failed');
  });

  it('is null without answers', () => {
    expect(cacheReportOf(reportOf([])).windows[1].all).toEqual({
      answers: 0,
      ratio: null,
      tiers: {},
      from: {},
    });
  });
});

describe('the totals of the report', () => {
  it('cover all time, independent of the windows', () => {
    const report = { ...reportOf([]), totals: [answers('product', 'hit', 'kv', 3)] };
    expect(cacheReportOf(report).totals.views['product']).toMatchObject({ answers: 3, tiers: { kv: 1 } });
    expect(cacheReportOf(report).windows[60].views).toEqual({});
  });
});

describe('nines of consistency', () => {
  it('follow from the share of inconsistent samples', () => {
    expect(consistencyOf([samples('consistent', 999), samples('inconsistent', 1)])).toEqual({
      nines: 3,
      atLeast: false,
      samples: 1_000,
      inconsistent: 1,
      inconclusive: 0,
    });
  });

  it('are never more than the samples prove, and inconclusive samples do not count', () => {
    const seen = consistencyOf([samples('consistent', 100), samples('inconclusive', 50)]);
    expect(seen).toEqual({ nines: 2, atLeast: true, samples: 100, inconsistent: 0, inconclusive: 50 });
    expect(consistencyOf([]).nines).toBe(0);
    expect(Object.is(consistencyOf([samples('inconsistent', 4)]).nines, 0)).toBe(true);
  });
});

/** Reads the text format strictly, by its own rules; throws on what Prometheus would refuse. */
function parseText(text: string): Metric[] {
  const metrics: (Omit<Metric, 'series'> & { series: Metric['series'][number][] })[] = [];
  if (!text.endsWith('\n')) throw new Error('The last line has to end.');
  const lines = text.slice(0, -1).split('\n');
  for (const line of lines) {
    const help = /^# HELP ([a-z_:][a-z0-9_:]*) (.*)$/.exec(line);
    const type = /^# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge)$/.exec(line);
    const series = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    const last = metrics.at(-1);
    if (help !== null) {
      if (metrics.some(({ name }) => name === help[1])) throw new Error(`${help[1]} comes twice.`);
      metrics.push({ name: help[1] ?? '', help: unescaped(help[2] ?? ''), type: 'gauge', series: [] });
    } else if (type !== null && last !== undefined && last.name === type[1]) {
      metrics[metrics.length - 1] = { ...last, type: type[2] === 'counter' ? 'counter' : 'gauge' };
    } else if (series !== null && last !== undefined && last.name === series[1]) {
      last.series.push({ labels: labelsOf(series[2] ?? ''), value: Number(series[3]) });
    } else throw new Error(`Not a line of the format: ${line}`);
  }
  return metrics;
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const pair = /^([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/.exec(rest);
    if (pair === null) throw new Error(`Not a list of labels: ${text}`);
    labels[pair[1] ?? ''] = unescaped(pair[2] ?? '');
    rest = rest.slice(pair[0].length);
  }
  return labels;
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(["\\n])/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
}

describe('the text for Prometheus', () => {
  it('can be parsed back, for any labels', () => {
    const label = fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '{', '}', ',', '=', ' ', 'é') });
    const metric: fc.Arbitrary<Metric> = fc.record({
      name: fc.stringMatching(/^[a-z_]{1,20}$/),
      help: label.map((text) => text.replaceAll('"', '')),
      type: fc.constantFrom('counter', 'gauge'),
      series: fc.array(
        fc.record({
          labels: fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), label, { noNullPrototype: true }),
          value: fc.double({ noNaN: true }),
        }),
      ),
    });
    const many = fc.uniqueArray(metric, { selector: ({ name }) => name, minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(many, (metrics) => {
        const written = JSON.stringify(parseText(metricsText(metrics)));
        expect(written).toBe(JSON.stringify(metrics));
      }),
    );
  });

  it('has the counters, and hit ratio and nines of each window', () => {
    const counted = [
      answers('product', 'hit', 'memory', 9),
      answers('product', 'miss', '', 1),
      samples('consistent', 10),
    ];
    const metrics = parseText(metricsText(metricsOf(reportOf(counted))));
    const valueOfSeries = (name: string, labels: Record<string, string>) =>
      metrics
        .find((metric) => metric.name === name)
        ?.series.find((series) => JSON.stringify(series.labels) === JSON.stringify(labels))?.value;
    expect(
      valueOfSeries(CACHE_ANSWERS, { view: 'product', outcome: 'hit', tier: 'memory', reason: '' }),
    ).toBe(9);
    expect(valueOfSeries('millrace_view_hit_ratio', { view: 'product', window: '5m' })).toBe(0.9);
    expect(valueOfSeries('millrace_cache_hit_ratio', { window: '60m' })).toBe(0.9);
    expect(valueOfSeries('millrace_consistency_nines', { window: '1m' })).toBe(1);
    expect(valueOfSeries('millrace_consistency_samples', { window: '60m' })).toBe(10);
    expect(valueOfSeries('millrace_consistency_inconsistent', { window: '60m' })).toBe(0);
    const memory = { view: 'product', window: '1m', tier: 'memory' };
    expect(valueOfSeries('millrace_view_tier_hit_ratio', memory)).toBe(0.9);
    expect(valueOfSeries('millrace_isolates', {})).toBe(3);
    expect(valueOfSeries('millrace_cache_memory_bytes', {})).toBe(4_096);
  });
});

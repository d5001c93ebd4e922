/** The rules that the worker evaluates are those of Prometheus: both find the same alerts in the same series. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { monitoringFiles } from '../../scripts/monitoring/files.ts';
import { DEFAULT_OBJECTIVES } from '../../src/define/objectives.ts';
import { watchRulesOf } from '../../src/operations/alerts/watch.ts';
import { ruleGroupsOf } from '../../src/operations/objective-rules.ts';
import { DURATION_BOUNDS_MS } from '../../src/platform/durations.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { evaluate, type Series } from '../support/alerts/series.ts';
import { MONITORING_TITLE, PROMTOOL } from '../support/node/monitoring.ts';
import { shareOf } from '../support/node/part.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-alert-rules-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RULES = join(folder, 'rules.yml');
writeFileSync(RULES, monitoringFiles(DEFAULT_OBJECTIVES)['prometheus/millrace.rules.yml'] ?? '');
const WATCHED = watchRulesOf(DEFAULT_OBJECTIVES, 60_000);

/** Six hours and a quarter. Windows of a day and more have less than that, so both take what there is. */
const MINUTES = 375;
const SEEDS = shareOf(6, 1 / 3);

/** Rates that change every so many minutes: mostly healthy, sometimes bad, sometimes dead. */
function* rates(random: () => number): Generator<number> {
  for (;;) {
    const draw = random();
    const share =
      draw < 0.6 ? 0 : draw < 0.75 ? random() * 0.01 : draw < 0.9 ? random() * 0.2 : 0.5 + random() / 2;
    const minutes = 1 + Math.floor(random() * 40);
    for (let minute = 0; minute < minutes; minute += 1) yield share;
  }
}

/** The totals of good and bad events at each minute. */
function pairOf(random: () => number): { readonly good: number[]; readonly bad: number[] } {
  const shares = rates(random);
  const [good, bad] = [[0], [0]];
  for (let minute = 1; minute <= MINUTES; minute += 1) {
    const events = 200 + Math.floor(random() * 200);
    const failed = Math.round(events * (shares.next().value ?? 0));
    good.push((good.at(-1) ?? 0) + events - failed);
    bad.push((bad.at(-1) ?? 0) + failed);
  }
  return { good, bad };
}

function seriesOf(seed: number): Series[] {
  const random = seededRandom(seed);
  const pair = (
    name: string,
    labels: Record<string, string>,
    label: string,
    [good, bad]: readonly [string, string],
  ) => {
    const totals = pairOf(random);
    return [
      { name, labels: { ...labels, [label]: good }, totals: totals.good },
      { name, labels: { ...labels, [label]: bad }, totals: totals.bad },
    ];
  };
  const route = { method: 'GET', route: '/v1/products/{sku}' };
  return [
    ...pair('millrace_http_requests_total', route, 'status', ['200', '503']),
    ...pair('millrace_http_requests_total', { ...route, route: '/v1/admin/audit' }, 'status', ['200', '503']),
    ...pair('millrace_http_request_duration_bucket_total', route, 'le', ['0.05', '0.25']),
    ...pair('millrace_cache_answers_total', { view: 'product', reason: '' }, 'outcome', ['hit', 'miss']),
    ...pair('millrace_probe_samples_total', { view: 'product' }, 'verdict', ['consistent', 'inconsistent']),
    ...pair('millrace_quality_checks_total', { type: 'a' }, 'result', ['passed', 'failed']),
    ...pair('millrace_stream_checks_total', { stage: 'outbox' }, 'result', ['kept_up', 'behind']),
    ...['feature-shard', 'kv'].flatMap((peer) =>
      pair('millrace_peer_calls_total', { peer }, 'outcome', ['ok', 'failed']),
    ),
  ];
}

/** As `GET /metrics` shows them: buckets are cumulative there. */
function scraped(series: readonly Series[]) {
  const isBucket = ({ name }: Series) => name.endsWith('_bucket_total');
  const buckets = series.filter(isBucket);
  const [first] = buckets;
  const histogram = 'millrace_http_request_duration_seconds';
  const { le: _, ...labels } = first?.labels ?? {};
  const upTo = (bound: number) =>
    Array.from({ length: MINUTES + 1 }, (__, minute) =>
      buckets
        .filter(({ labels: of }) => Number(of['le']) <= bound)
        .reduce((sum, { totals }) => sum + (totals[minute] ?? 0), 0),
    );
  const cumulative = [...DURATION_BOUNDS_MS.map((ms) => ms / 1_000), Number.POSITIVE_INFINITY].map(
    (bound) => ({
      name: `${histogram}_bucket`,
      labels: { ...labels, le: Number.isFinite(bound) ? String(bound) : '+Inf' },
      totals: upTo(bound),
    }),
  );
  const count = { name: `${histogram}_count`, labels, totals: upTo(Number.POSITIVE_INFINITY) };
  return [...series.filter((of) => !isBucket(of)), ...cumulative, count].map(
    ({ name, labels: of, totals }) => ({
      series: `${name}{${Object.entries(of)
        .map(([label, value]) => `${label}="${value}"`)
        .join(',')}}`,
      values: totals.join(' '),
    }),
  );
}

/** Without an order promtool takes any, and an alert would see those of its causes a minute late or not. */
const GROUPS = ruleGroupsOf(DEFAULT_OBJECTIVES).map(({ name }) => name);

const at = (minute: number) => `${minute}m`;

describe.skipIf(PROMTOOL === undefined)(`the rules in the worker and in ${MONITORING_TITLE}`, () => {
  it.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
    'agree on the series of seed %d',
    (seed) => {
      const series = seriesOf(seed);
      const evaluated = evaluate(WATCHED, series, MINUTES);
      const found = evaluated.map(({ state }) =>
        Object.values(state.instances).filter(({ firingMinute }) => firingMinute !== null),
      );
      const ends = evaluated.flatMap(({ minute }) => (minute % 15 === 0 && minute > 0 ? [minute] : []));
      const test = {
        interval: '1m',
        name: `seed ${seed}`,
        input_series: [...scraped(series), { series: 'up{job="millrace"}', values: `1x${MINUTES}` }],
        promql_expr_test: ends.map((minute) => ({
          expr: 'ALERTS{alertstate="firing"}',
          eval_time: at(minute),
          exp_samples: (found[minute] ?? []).map(({ labels }) => ({
            labels: `ALERTS{alertstate="firing",${Object.entries(labels)
              .map(([label, value]) => `${label}="${value}"`)
              .join(',')}}`,
            value: 1,
          })),
        })),
      };
      expect(found.flat().length).toBeGreaterThan(0);
      const file = join(folder, `seed-${seed}.yml`);
      writeFileSync(
        file,
        stringify(
          { rule_files: [RULES], evaluation_interval: '1m', group_eval_order: GROUPS, tests: [test] },
          { lineWidth: 0 },
        ),
      );
      const { status, stdout, stderr } = spawnSync(PROMTOOL ?? '', ['test', 'rules', file], {
        encoding: 'utf8',
      });
      expect(status, `${stdout}${stderr}`.slice(0, 4_000)).toBe(0);
    },
  );
});

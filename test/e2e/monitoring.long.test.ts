/**
 * The files of `deploy/monitoring/` in the real Prometheus and Alertmanager: the rules alert on what burns a budget and on
 * nothing else, and one cause is one notification.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import * as z from 'zod';
import { monitoringFiles } from '../../scripts/monitoring/files.ts';
import { DEFAULT_OBJECTIVES } from '../../src/define/objectives.ts';
import { alertOf } from '../../src/operations/alerts/rules.ts';
import { freePort } from '../support/node/dev-process.ts';
import { ALERTMANAGER, MONITORING_TITLE, PROMTOOL } from '../support/node/monitoring.ts';
import { eventually } from '../support/node/stack.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-monitoring-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const files = monitoringFiles(DEFAULT_OBJECTIVES);
const written = (name: string, text: string) => {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
};
const RULES = written('rules.yml', files['prometheus/millrace.rules.yml'] ?? '');

/** Minutes of a series: `from`, and more by `by` each minute. */
const minutes = (from: number, by: number, count: number) => `${from}+${by}x${count}`;
const requests = (status: number, values: string) => ({
  series: `millrace_http_requests_total{method="GET",route="/v1/products/{sku}",status="${status}"}`,
  values,
});
const calls = (peer: string, outcome: string, values: string) => ({
  series: `millrace_peer_calls_total{peer="${peer}",outcome="${outcome}"}`,
  values,
});
const firing = (alertname: string) =>
  `count by (severity) (ALERTS{alertstate="firing",alertname="${alertname}"})`;
const seen = (expr: string, at: string, expected: Readonly<Record<string, number>> = {}) => ({
  expr,
  eval_time: at,
  exp_samples: Object.entries(expected).map(([severity, value]) => ({
    labels: `{severity="${severity}"}`,
    value,
  })),
});

/** What is scraped for two hours, and which alerts fire when. */
const CASES = {
  'one request in 2,000 fails': {
    input_series: [requests(200, minutes(0, 1_999, 120)), requests(503, minutes(0, 1, 120))],
    promql_expr_test: [seen(firing('MillraceAvailabilityBurns'), '2h')],
  },
  'one request in seven fails after an hour': {
    input_series: [
      requests(200, minutes(0, 60, 120)),
      requests(503, `${minutes(0, 0, 60)} ${minutes(10, 10, 60)}`),
    ],
    promql_expr_test: [
      seen(firing('MillraceAvailabilityBurns'), '59m'),
      seen(firing('MillraceAvailabilityBurns'), '90m', { page: 2, ticket: 2 }),
    ],
  },
  'a failure of a minute is over': {
    input_series: [
      requests(200, minutes(0, 60, 120)),
      requests(503, `${minutes(0, 0, 30)} ${minutes(60, 0, 90)}`),
    ],
    // The short windows have no failure any more.
    promql_expr_test: [seen('count by (severity) (ALERTS{alertstate="firing",severity="page"})', '70m')],
  },
  'one read in ten takes longer than 100 ms': {
    input_series: ['0.1', '+Inf']
      .map((le, at) => ({
        series: `millrace_http_request_duration_seconds_bucket{method="GET",route="/v1/products/{sku}",le="${le}"}`,
        values: minutes(0, at === 0 ? 90 : 100, 120),
      }))
      .concat({
        series: 'millrace_http_request_duration_seconds_count{method="GET",route="/v1/products/{sku}"}',
        values: minutes(0, 100, 120),
      }),
    // 0.1 is above 6 times the budget of 0.01 and below 14.4 times.
    promql_expr_test: [seen(firing('MillraceReadLatencyBurns'), '2h', { page: 1, ticket: 2 })],
  },
  'operators read long reports': {
    input_series: ['0.1', '+Inf'].map((le, at) => ({
      series: `millrace_http_request_duration_seconds_bucket{method="GET",route="/v1/admin/audit",le="${le}"}`,
      values: minutes(0, at * 100, 120),
    })),
    promql_expr_test: [seen(firing('MillraceReadLatencyBurns'), '2h')],
  },
  'a third of the answers comes from the origin': {
    input_series: [
      { series: 'millrace_cache_answers_total{outcome="hit",view="product"}', values: minutes(0, 60, 120) },
      { series: 'millrace_cache_answers_total{outcome="miss",view="product"}', values: minutes(0, 40, 120) },
    ],
    // A budget of 0.3 can only be burnt slowly: 3 times is 0.9.
    promql_expr_test: [seen(firing('MillraceHitRatioBurns'), '2h', { ticket: 1 })],
  },
  'the database does not answer': {
    input_series: [
      calls('database', 'ok', minutes(0, 0, 120)),
      calls('database', 'timeout', minutes(0, 5, 120)),
      calls('queue', 'ok', minutes(0, 5, 120)),
      calls('queue', 'failed', minutes(0, 1, 120)),
    ],
    promql_expr_test: [seen('count by (severity) (ALERTS{alertstate="firing"})', '10m', { page: 1 })],
  },
};

describe.skipIf(PROMTOOL === undefined)(`the rules in ${MONITORING_TITLE}`, () => {
  it.each(Object.entries(CASES))('%s', (name, { input_series, promql_expr_test }) => {
    const test = { interval: '1m', name, input_series, promql_expr_test };
    const file = written(
      'case.yml',
      stringify({ rule_files: [RULES], evaluation_interval: '1m', tests: [test] }),
    );
    const { status, stdout, stderr } = spawnSync(PROMTOOL ?? '', ['test', 'rules', file], {
      encoding: 'utf8',
    });
    expect(status, stdout + stderr).toBe(0);
  });

  it('a case that expects another alert fails', () => {
    const wrong = {
      interval: '1m',
      input_series: CASES['the database does not answer'].input_series,
      promql_expr_test: [seen('count by (severity) (ALERTS{alertstate="firing"})', '10m', { page: 2 })],
    };
    const file = written(
      'case.yml',
      stringify({ rule_files: [RULES], evaluation_interval: '1m', tests: [wrong] }),
    );
    expect(spawnSync(PROMTOOL ?? '', ['test', 'rules', file]).status).toBe(1);
  });
});

const Alerts = z.array(
  z.object({
    labels: z.object({ alertname: z.string(), peer: z.string().optional() }),
    status: z.object({ state: z.string() }),
  }),
);

describe.skipIf(ALERTMANAGER === undefined)(`the configuration in ${MONITORING_TITLE}`, () => {
  it('makes one notification of a dead database and all that comes of it', async () => {
    const port = await freePort();
    const config = written('alertmanager.yml', files['alertmanager/alertmanager.yml'] ?? '');
    const address = `127.0.0.1:${port}`;
    const child = spawn(
      ALERTMANAGER ?? '',
      [
        ...[`--config.file=${config}`, `--storage.path=${join(folder, 'data')}`],
        ...[`--web.listen-address=${address}`, '--cluster.listen-address='],
      ],
      { stdio: 'ignore' },
    );
    try {
      const alert = (alertname: string, labels: object) => ({ labels: { alertname, ...labels } });
      const post = async () =>
        await fetch(`http://${address}/api/v2/alerts`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify([
            ...['database', 'outbox-relay', 'kafka-source'].map((peer) =>
              alert('MillraceDependencyFails', { peer, severity: 'page' }),
            ),
            ...DEFAULT_OBJECTIVES.flatMap((objective) =>
              ['page', 'ticket'].map((severity) =>
                alert(alertOf(objective), { objective: objective.name, severity, window: severity }),
              ),
            ),
          ]),
        }).then(
          ({ status }) => status,
          () => undefined,
        );
      await eventually(post, (status) => status === 200, 30_000);
      const shown = await eventually(
        async () => Alerts.parse(await (await fetch(`http://${address}/api/v2/alerts`)).json()),
        (alerts) => alerts.length > 10 && alerts.every(({ status }) => status.state !== 'unprocessed'),
        60_000,
      );
      const active = shown.filter(({ status }) => status.state === 'active');
      expect(active.map(({ labels }) => [labels.alertname, labels.peer])).toEqual([
        ['MillraceDependencyFails', 'database'],
      ]);
    } finally {
      child.kill();
      await once(child, 'exit');
    }
  });
});

/** The queries of the dashboards for Grafana, read by the real Prometheus' own parser. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { DEFAULT_OBJECTIVES } from '../../src/define/objectives.ts';
import { burning, PANELS } from '../../src/operations/panels.ts';
import { MONITORING_TITLE, PROMTOOL } from '../support/node/monitoring.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-grafana-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As Grafana asks, with its variables filled in. */
const exprs = Object.values({ ...PANELS, burning: burning(DEFAULT_OBJECTIVES) }).flatMap(({ queries }) =>
  queries.map(([expr]) => expr.replaceAll('$__rate_interval', '5m').replaceAll('$route', '.*')),
);

function checked(all: readonly string[]) {
  const file = join(folder, 'queries.yml');
  const rules = all.map((expr, at) => ({ record: `query:${at}`, expr }));
  writeFileSync(file, stringify({ groups: [{ name: 'queries', rules }] }));
  return spawnSync(PROMTOOL ?? '', ['check', 'rules', file], { encoding: 'utf8' });
}

it.skipIf(PROMTOOL === undefined)(`each query can be parsed (${MONITORING_TITLE})`, () => {
  const { status, stdout, stderr } = checked(exprs);
  expect(stdout + stderr).toContain(`${exprs.length} rules found`);
  expect(status).toBe(0);
  expect(checked([...exprs, 'sum by (route (x)']).status).not.toBe(0);
});

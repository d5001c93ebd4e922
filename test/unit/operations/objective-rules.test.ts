import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { monitoringFiles } from '../../../scripts/monitoring/files.ts';
import { assemble } from '../../../src/define/catalog.ts';
import { DEFAULT_OBJECTIVES, type Objective } from '../../../src/define/objectives.ts';
import { validateCatalog } from '../../../src/define/validate.ts';
import { ruleGroupsOf } from '../../../src/operations/objective-rules.ts';

const ROOT = join(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const rulesOf = (objectives: readonly Objective[]) => ruleGroupsOf(objectives).flatMap(({ rules }) => rules);

describe('the files of deploy/monitoring', () => {
  it.each(Object.entries(monitoringFiles(DEFAULT_OBJECTIVES)))(
    '%s is what npm run monitoring writes',
    (name, text) => {
      expect(read(join('deploy/monitoring', name))).toBe(text);
    },
  );

  it('have a runbook for each alert, and no runbook without one', () => {
    const named = new Set(
      rulesOf(DEFAULT_OBJECTIVES).flatMap((rule) =>
        'alert' in rule ? [rule.annotations['runbook'] ?? ''] : [],
      ),
    );
    for (const path of named) expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
    const written = readdirSync(join(ROOT, 'docs/runbooks')).map((name) => join('docs/runbooks', name));
    expect(written.toSorted()).toEqual([...named].sort());
  });
});

describe('the rules of an objective', () => {
  const objective = (target: number): Objective => ({
    name: 'checkout',
    description: 'Checkouts are answered.',
    target,
    indicator: { of: 'requests', methods: ['POST'], routes: ['/v1/events', '/v1/carts/{id}.json'] },
  });

  it('count the requests that it names, and nothing else that looks like them', () => {
    const [first] = rulesOf([objective(0.99)]);
    expect(first).toEqual({
      record: 'millrace:bad_events:ratio_rate5m',
      expr:
        String.raw`(sum(rate(millrace_http_requests_total{method=~"POST",route=~"/v1/events|/v1/carts/\\{id\\}\\.json",status=~"5.*"}[5m])) or vector(0)) / ` +
        String.raw`(sum(rate(millrace_http_requests_total{method=~"POST",route=~"/v1/events|/v1/carts/\\{id\\}\\.json"}[5m])) > 0)`,
      labels: { objective: 'checkout' },
    });
  });

  it.each([
    [0.999, 4],
    [0.95, 4],
    [0.9, 3],
    [0.7, 2],
    [0.5, 1],
  ])('with a target of %d leave out thresholds that nothing can pass', (target, expected) => {
    const burns = rulesOf([objective(target)]).filter(
      (rule) => 'alert' in rule && rule.alert.endsWith('Burns'),
    );
    expect(burns).toHaveLength(expected);
  });

  it.each([
    [{ target: 1 }, 'Its target is 1.'],
    [{ target: Number.NaN }, 'Its target is NaN.'],
    [{ name: 'Check out' }, 'Its name is no label of a metric.'],
    [{ name: 'availability' }, 'Another objective has its name.'],
  ])('are refused for %j', (change, problem) => {
    const declared = [...DEFAULT_OBJECTIVES, { ...objective(0.9), ...change }];
    const problems = validateCatalog({ ...assemble({}), objectives: declared });
    expect(problems.map((found) => found.problem)).toEqual([problem]);
  });
});

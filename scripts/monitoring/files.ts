import { stringify } from 'yaml';
import type { Objective } from '../../src/define/objectives.ts';
import { inhibitionsFor } from '../../src/operations/alerts/rules.ts';
import { promConditions } from '../../src/operations/alerts/selectors.ts';
import { ruleGroupsOf } from '../../src/operations/objective-rules.ts';
import { dashboardFiles } from './dashboards.ts';
import { logFiles } from './logs.ts';

const HEADER =
  '# Written by `npm run monitoring` from the objectives of the catalog; a change here is lost.\n';

/** The files of `deploy/monitoring/`, by their names in it. */
export function monitoringFiles(objectives: readonly Objective[]): Readonly<Record<string, string>> {
  return {
    'prometheus/millrace.rules.yml': HEADER + yaml({ groups: ruleGroupsOf(objectives) }),
    'alertmanager/alertmanager.yml': HEADER + yaml(alertmanagerOf(objectives)),
    ...dashboardFiles(objectives),
    ...logFiles(),
  };
}

/** The inhibitions are those of `inhibitionsOf`, which the worker applies as well. */
function alertmanagerOf(objectives: readonly Objective[]) {
  return {
    route: {
      receiver: 'tickets',
      group_by: ['alertname', 'objective', 'peer'],
      group_wait: '30s',
      group_interval: '5m',
      repeat_interval: '4h',
      routes: [{ receiver: 'pages', matchers: ['severity="page"'] }],
    },
    inhibit_rules: inhibitionsFor(objectives).map(({ source, target, equal }) => ({
      source_matchers: promConditions(source),
      target_matchers: promConditions(target),
      ...(equal === undefined ? {} : { equal: [...equal] }),
    })),
    // The addresses are those of your own receivers.
    receivers: [
      { name: 'pages', webhook_configs: [{ url: 'http://127.0.0.1:9099/pages', send_resolved: true }] },
      { name: 'tickets', webhook_configs: [{ url: 'http://127.0.0.1:9099/tickets', send_resolved: true }] },
    ],
  };
}

function yaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

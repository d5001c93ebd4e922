import { stringify } from 'yaml';
import type { Objective } from '../../src/define/objectives.ts';
import {
  alertOf,
  DEPENDENCY_FAILS,
  MILLRACE_DOWN,
  ruleGroupsOf,
} from '../../src/operations/objective-rules.ts';
import type { Peer } from '../../src/platform/peer.ts';

/** What fails where a service does, because it calls that service. */
const DEPENDENTS: Partial<Readonly<Record<Peer | 'database', readonly Peer[]>>> = {
  database: ['outbox-relay', 'kafka-source', 'datasets', 'training-runs', 'feedback'],
  'root-clock': ['regional-clock', 'outbox-relay'],
  kafka: ['kafka-source'],
};

/** Services without which requests are answered otherwise (docs/operations.md, "When a service hangs or fails"). */
const FELT_BY_USERS = ['database', 'root-clock', 'outbox-relay', 'queue', 'feature-shard', 'artifacts'];

const HEADER =
  '# Written by `npm run monitoring` from the objectives of the catalog; a change here is lost.\n';

/** The files of `deploy/monitoring/`, by their names in it. */
export function monitoringFiles(objectives: readonly Objective[]): Readonly<Record<string, string>> {
  return {
    'prometheus/millrace.rules.yml': HEADER + yaml({ groups: ruleGroupsOf(objectives) }),
    'alertmanager/alertmanager.yml': HEADER + yaml(alertmanagerOf(objectives)),
  };
}

/**
 * One cause is one notification: while a service fails that users feel, the alerts of objectives are withheld, and so are those
 * of the services that call it. Everything is withheld while nothing can be scraped. Of one objective a page withholds the tickets.
 */
function alertmanagerOf(objectives: readonly Objective[]) {
  const burning = objectives.map(alertOf).join('|');
  return {
    route: {
      receiver: 'tickets',
      group_by: ['alertname', 'objective', 'peer'],
      group_wait: '30s',
      group_interval: '5m',
      repeat_interval: '4h',
      routes: [{ receiver: 'pages', matchers: ['severity="page"'] }],
    },
    inhibit_rules: [
      {
        source_matchers: [`alertname="${MILLRACE_DOWN}"`],
        target_matchers: [`alertname!="${MILLRACE_DOWN}"`],
      },
      {
        source_matchers: [`alertname="${DEPENDENCY_FAILS}"`, `peer=~"${FELT_BY_USERS.join('|')}"`],
        target_matchers: [`alertname=~"${burning}"`],
      },
      ...Object.entries(DEPENDENTS).map(([peer, dependents]) => ({
        source_matchers: [`alertname="${DEPENDENCY_FAILS}"`, `peer="${peer}"`],
        target_matchers: [`alertname="${DEPENDENCY_FAILS}"`, `peer=~"${dependents.join('|')}"`],
      })),
      {
        source_matchers: ['severity="page"'],
        target_matchers: ['severity="ticket"'],
        equal: ['alertname', 'objective'],
      },
    ],
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

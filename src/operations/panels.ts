import type { Objective } from '../define/objectives.ts';

/** What the dashboards of Grafana show. `PANELS` has each panel once; a dashboard is a choice of them. */

/** Grafana's window of a rate: at least four scrapes. */
const WINDOW = '$__rate_interval';
/** The panels of requests may be narrowed to routes. */
const OF_ROUTES = '{route=~"$route"}';

type Unit = 'reqps' | 'percentunit' | 's' | 'short' | 'bytes';

/** A panel: what it says, and a query for each line with the name of the line. */
export interface PanelOf {
  readonly kind: 'lines' | 'stack' | 'number' | 'heat';
  readonly title: string;
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly (readonly [expr: string, legend: string])[];
}

const share = (part: string, whole: string) => `sum(${part}) / sum(${whole})`;
const rate = (series: string) => `rate(${series}[${WINDOW}])`;

export const PANELS = {
  availability: {
    ...{ kind: 'number', unit: 'percentunit', title: 'Availability' },
    description: 'The share of requests that were answered with a status below 500.',
    queries: [
      [
        `1 - ${share(rate('millrace_http_requests_total{status=~"5.."}'), rate('millrace_http_requests_total'))}`,
        '',
      ],
    ],
  },
  hitRatio: {
    ...{ kind: 'number', unit: 'percentunit', title: 'Hit ratio' },
    description: 'Answers from the cache over all answers to cached reads, of the last hour.',
    queries: [['millrace_cache_hit_ratio{window="60m"}', '']],
  },
  traffic: {
    ...{ kind: 'stack', unit: 'reqps', title: 'Requests per second' },
    description: 'By status.',
    queries: [[`sum by (status) (${rate(`millrace_http_requests_total${OF_ROUTES}`)})`, '{{status}}']],
  },
  failures: {
    ...{ kind: 'lines', unit: 'percentunit', title: 'Failed requests' },
    description: 'The share of answers with a status of 500 or above, by route.',
    queries: [
      [
        `sum by (route) (${rate('millrace_http_requests_total{route=~"$route",status=~"5.."}')}) / sum by (route) (${rate(`millrace_http_requests_total${OF_ROUTES}`)})`,
        '{{route}}',
      ],
    ],
  },
  latency: {
    ...{ kind: 'lines', unit: 's', title: 'Latency' },
    description: 'From the arrival of a request to the head of its answer.',
    queries: [0.5, 0.95, 0.99].map((part) => [
      `histogram_quantile(${part}, sum by (le) (${rate(`millrace_http_request_duration_seconds_bucket${OF_ROUTES}`)}))`,
      `p${100 * part}`,
    ]),
  },
  latencyHeat: {
    ...{ kind: 'heat', unit: 's', title: 'Latency by duration' },
    description: 'How many requests took how long.',
    queries: [
      [`sum by (le) (${rate(`millrace_http_request_duration_seconds_bucket${OF_ROUTES}`)})`, '{{le}}'],
    ],
  },
  answers: {
    ...{ kind: 'stack', unit: 'reqps', title: 'What answered cached reads' },
    description: 'By outcome and tier.',
    queries: [[`sum by (outcome, tier) (${rate('millrace_cache_answers_total')})`, '{{outcome}} {{tier}}']],
  },
  fills: {
    ...{ kind: 'lines', unit: 'reqps', title: 'Fills of the cache' },
    description: 'Reads of the origin that fill the cache, by outcome.',
    queries: [[`sum by (outcome) (${rate('millrace_cache_fills_total')})`, '{{outcome}}']],
  },
  calls: {
    ...{ kind: 'lines', unit: 'reqps', title: 'Calls of services' },
    description: 'Of the database, of objects and of the platform’s services.',
    queries: [[`sum by (peer) (${rate('millrace_peer_calls_total')})`, '{{peer}}']],
  },
  callFailures: {
    ...{ kind: 'lines', unit: 'percentunit', title: 'Calls that failed' },
    description: 'The share of calls that ended with an error or took too long, by service.',
    queries: [
      [
        `sum by (peer) (${rate('millrace_peer_calls_total{outcome!="ok"}')}) / sum by (peer) (${rate('millrace_peer_calls_total')})`,
        '{{peer}}',
      ],
    ],
  },
  callLatency: {
    ...{ kind: 'lines', unit: 's', title: 'Calls of services, p99' },
    description: 'How long calls took, by service.',
    queries: [
      [
        `histogram_quantile(0.99, sum by (peer, le) (${rate('millrace_peer_call_duration_seconds_bucket')}))`,
        '{{peer}}',
      ],
    ],
  },
  models: {
    ...{ kind: 'stack', unit: 'reqps', title: 'Runs of models' },
    description: 'By model and by what computed them.',
    queries: [[`sum by (model, tier) (${rate('millrace_model_runs_total')})`, '{{model}} {{tier}}']],
  },
  limited: {
    ...{ kind: 'lines', unit: 'reqps', title: 'Refused by limits' },
    description: 'Requests whose sender had used up its budget.',
    queries: [[`sum by (budget, lane) (${rate('millrace_limited_total')})`, '{{budget}} {{lane}}']],
  },
  quality: {
    ...{ kind: 'lines', unit: 'percentunit', title: 'Checks of quality that failed' },
    description: 'The share of checks of incoming events that failed.',
    queries: [
      [
        `sum by (dimension) (${rate('millrace_quality_checks_total{result="failed"}')}) / sum by (dimension) (${rate('millrace_quality_checks_total')})`,
        '{{dimension}}',
      ],
    ],
  },
  consistency: {
    ...{ kind: 'number', unit: 'short', title: 'Inconsistent samples' },
    description: 'Hits of the last hour that were compared with the database and were wrong.',
    queries: [['millrace_consistency_inconsistent{window="60m"}', '']],
  },
  isolates: {
    ...{ kind: 'number', unit: 'short', title: 'Isolates' },
    description: 'That reported in the last five minutes.',
    queries: [['millrace_isolates', '']],
  },
  memory: {
    ...{ kind: 'lines', unit: 'bytes', title: 'Memory tiers' },
    description: 'The size of all isolates’ caches in memory.',
    queries: [['millrace_cache_memory_bytes', 'all isolates']],
  },
  lost: {
    ...{ kind: 'lines', unit: 'short', title: 'Lost observations' },
    description: 'Counts, lineage and logged predictions that were not kept: each loss is stated.',
    queries: [
      [`sum(${rate('millrace_counters_dropped_total')})`, 'counts'],
      [`sum(${rate('millrace_lineage_lost_total')})`, 'lineage'],
      [`sum(${rate('millrace_served_predictions_total{outcome="lost"}')})`, 'served predictions'],
    ],
  },
} satisfies Record<string, PanelOf>;
export type PanelName = keyof typeof PANELS;

export const DASHBOARDS = [
  {
    uid: 'millrace-executive',
    title: 'Millrace: executive',
    rows: {
      'What was promised': ['availability', 'hitRatio', 'consistency'],
      'Over time': ['traffic', 'failures', 'latency', 'answers'],
    },
    hasObjectives: true,
  },
  {
    uid: 'millrace-technical',
    title: 'Millrace: technical',
    rows: {
      Requests: ['traffic', 'failures', 'latency', 'latencyHeat'],
      Cache: ['hitRatio', 'answers', 'fills', 'memory'],
      Services: ['calls', 'callFailures', 'callLatency'],
      Models: ['models'],
    },
    hasObjectives: false,
  },
  {
    uid: 'millrace-operational',
    title: 'Millrace: operational',
    rows: {
      Now: ['availability', 'isolates', 'consistency'],
      Causes: ['callFailures', 'callLatency', 'quality', 'limited', 'lost'],
    },
    hasObjectives: true,
  },
] as const satisfies readonly {
  uid: string;
  title: string;
  rows: Record<string, readonly PanelName[]>;
  hasObjectives: boolean;
}[];

/** How fast the budget of each objective burns: 1 is as fast as it may. It reads what the rules record. */
export function burning(objectives: readonly Objective[]): PanelOf {
  return {
    kind: 'lines',
    title: 'How fast budgets burn',
    description:
      'The share of bad events of an hour over the share that the objective allows. Above 1 the budget will not last.',
    unit: 'short',
    queries: objectives.map(({ name, target }) => [
      `millrace:bad_events:ratio_rate1h{objective="${name}"} / ${Number((1 - target).toPrecision(6))}`,
      name,
    ]),
  };
}

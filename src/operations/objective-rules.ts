import type { Indicator, Objective } from '../define/objectives.ts';
import { PEER_CALLS } from '../platform/peer.ts';
import { PROBE_SAMPLES } from './consistency.ts';
import { CACHE_ANSWERS } from './hit-ratio.ts';
import { QUALITY_CHECKS } from './quality/metrics.ts';
import { REQUEST_DURATIONS, REQUESTS } from './requests.ts';

/** A rule of Prometheus. */
export type Rule =
  | { readonly record: string; readonly expr: string; readonly labels: Labels }
  | {
      readonly alert: string;
      readonly expr: string;
      readonly for?: string;
      readonly labels: Labels;
      readonly annotations: Labels;
    };
type Labels = Readonly<Record<string, string>>;

export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/**
 * When a burning budget alerts: the Site Reliability Workbook, chapter 5, table 5-8. The budget of 30 days burns `factor`
 * times as fast as it may, over a long window, and over a short one, so that the alert ends soon after its cause.
 */
const BURNS = [
  { severity: 'page', long: '1h', short: '5m', factor: 14.4 },
  { severity: 'page', long: '6h', short: '30m', factor: 6 },
  { severity: 'ticket', long: '1d', short: '2h', factor: 3 },
  { severity: 'ticket', long: '3d', short: '6h', factor: 1 },
] as const;
const WINDOWS = ['5m', '30m', '1h', '2h', '6h', '1d', '3d'] as const;
type Window = (typeof WINDOWS)[number];

/** Where the runbook of an alert is, in this repository. */
const RUNBOOKS = 'docs/runbooks';
/** A service counts as failing if more than this share of its calls fail, for `FAILING_FOR`. */
const FAILING_SHARE = 0.5;
const FAILING_FOR = '2m';

/** The alert of a service that fails. Alertmanager withholds the alerts of objectives meanwhile. */
export const DEPENDENCY_FAILS = 'MillraceDependencyFails';
/** The alert of a deployment that Prometheus cannot scrape. */
export const MILLRACE_DOWN = 'MillraceDown';

/** The alert of an objective. */
export function alertOf({ name }: Objective): string {
  const words = name.split('_').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `Millrace${words.join('')}Burns`;
}

/** The rules of Prometheus for these objectives, and for what usually causes their alerts. */
export function ruleGroupsOf(objectives: readonly Objective[]): RuleGroup[] {
  return [
    { name: 'millrace-indicators', rules: objectives.flatMap(recordsOf) },
    { name: 'millrace-objectives', rules: objectives.flatMap(burnsOf) },
    { name: 'millrace-causes', rules: causes() },
  ];
}

/** The recorded share of bad events in a window. */
function recorded(window: Window): string {
  return `millrace:bad_events:ratio_rate${window}`;
}

function recordsOf({ name, indicator }: Objective): Rule[] {
  return WINDOWS.map((window) => ({
    record: recorded(window),
    expr: badShare(indicator, window),
    labels: { objective: name },
  }));
}

/** A threshold of 1 or more can never be passed: with a low target only the slow burns are left. */
function burnsOf(objective: Objective): Rule[] {
  const budget = 1 - objective.target;
  return BURNS.filter(({ factor }) => factor * budget < 1).map(({ severity, long, short, factor }) => {
    const above = `> ${rounded(factor * budget)}`;
    const of = `{objective="${objective.name}"}`;
    return {
      alert: alertOf(objective),
      expr: `${recorded(long)}${of} ${above} and ${recorded(short)}${of} ${above}`,
      labels: { severity, objective: objective.name, window: long },
      annotations: {
        summary: `${objective.description} For ${long} this was missed ${factor} times as often as it may be.`,
        description: `{{ $value | humanizePercentage }} were bad; the objective allows ${rounded(100 * budget)} % over 30 days.`,
        runbook: `${RUNBOOKS}/${objective.name.replaceAll('_', '-')}.md`,
      },
    };
  });
}

function causes(): Rule[] {
  const calls = (which: string) => `sum by (peer) (rate(${PEER_CALLS}${which}[5m]))`;
  return [
    {
      alert: DEPENDENCY_FAILS,
      expr: `${calls('{outcome!="ok"}')} / ${calls('')} > ${FAILING_SHARE}`,
      for: FAILING_FOR,
      labels: { severity: 'page' },
      annotations: {
        summary: '{{ $labels.peer }} fails or does not answer.',
        description: '{{ $value | humanizePercentage }} of the calls of the last five minutes failed.',
        runbook: `${RUNBOOKS}/dependency-fails.md`,
      },
    },
    {
      alert: MILLRACE_DOWN,
      expr: 'up{job="millrace"} == 0',
      for: FAILING_FOR,
      labels: { severity: 'page' },
      annotations: {
        summary: 'Prometheus cannot read /metrics.',
        description: 'The deployment does not answer, refuses the key, or has no statistics.',
        runbook: `${RUNBOOKS}/down.md`,
      },
    },
  ];
}

/** PromQL of the share of bad events: no series without events, and 0 without bad ones. */
function badShare(indicator: Indicator, window: Window): string {
  const rate = (series: string) => `sum(rate(${series}[${window}]))`;
  const share = (bad: string, all: string) => `(${rate(bad)} or vector(0)) / (${rate(all)} > 0)`;
  switch (indicator.of) {
    case 'requests': {
      const of = selected(indicator);
      return share(`${REQUESTS}{${of},status=~"5.."}`, `${REQUESTS}{${of}}`);
    }
    case 'durations': {
      const { histogram } = REQUEST_DURATIONS;
      const of = selected(indicator);
      const good = rate(`${histogram}_bucket{${of},le="${indicator.withinMs / 1_000}"}`);
      return `1 - ${good} / (${rate(`${histogram}_count{${of}}`)} > 0)`;
    }
    case 'cache_hits':
      return share(`${CACHE_ANSWERS}{outcome!~"hit|stale"}`, CACHE_ANSWERS);
    case 'cache_uptime':
      return share(`${CACHE_ANSWERS}{reason="clock-unavailable"}`, CACHE_ANSWERS);
    case 'consistency':
      return share(
        `${PROBE_SAMPLES}{verdict="inconsistent"}`,
        `${PROBE_SAMPLES}{verdict=~"consistent|inconsistent"}`,
      );
    case 'quality':
      return share(`${QUALITY_CHECKS}{result="failed"}`, QUALITY_CHECKS);
  }
}

/** The labels of the requests that count. */
function selected({ methods, routes }: Extract<Indicator, { of: 'requests' | 'durations' }>): string {
  const route = routes === undefined ? 'route!~"/v1/admin/.*"' : `route=~"${oneOf(routes)}"`;
  return methods === undefined ? route : `method=~"${oneOf(methods)}",${route}`;
}

/** A regular expression of RE2 within a text of PromQL. */
function oneOf(texts: readonly string[]): string {
  return texts.map((text) => text.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\\\$&')).join('|');
}

/** Without the last digits of binary fractions: 0.0144, not 0.014400000000000012. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

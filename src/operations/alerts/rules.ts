import type { Objective } from '../../define/objectives.ts';
import { PEER_CALLS } from '../../platform/peer.ts';
import { FELT_BY_USERS, type Inhibition, inhibitionsOf, type Labels } from './graph.ts';
import { type Measure, measureOf } from './indicators.ts';
import type { Selector } from './selectors.ts';

/**
 * The alerts of a deployment: one definition, of which `objective-rules.ts` writes the rules of Prometheus, and which
 * `evaluation.ts` evaluates in the worker.
 */

/** The windows of rules, in minutes. */
export const WINDOW_MINUTES = {
  '2m': 2,
  '5m': 5,
  '30m': 30,
  '1h': 60,
  '2h': 120,
  '6h': 360,
  '1d': 1_440,
  '3d': 4_320,
} as const;
export type Window = keyof typeof WINDOW_MINUTES;

/** The severities, the worst first. A page wakes somebody; a ticket waits for the morning. */
export const SEVERITIES = ['page', 'ticket'] as const;
export type Severity = (typeof SEVERITIES)[number];

/**
 * When a burning budget alerts: the Site Reliability Workbook, chapter 5, table 5-8. The budget of 30 days burns `factor`
 * times as fast as it may, over a long window, and over a short one, so that the alert ends soon after its cause.
 */
const BURNS = [
  { severity: 'page', long: '1h', short: '5m', factor: 14.4 },
  { severity: 'page', long: '6h', short: '30m', factor: 6 },
  { severity: 'ticket', long: '1d', short: '2h', factor: 3 },
  { severity: 'ticket', long: '3d', short: '6h', factor: 1 },
] as const satisfies readonly { severity: Severity; long: Window; short: Window; factor: number }[];
/** The windows over which the share of bad events is recorded. */
export const BURN_WINDOWS = ['5m', '30m', '1h', '2h', '6h', '1d', '3d'] as const satisfies readonly Window[];

/** Where the runbook of an alert is, in this repository. */
const RUNBOOKS = 'docs/runbooks';

/** A service fails if more than this share of its calls fail, and at least so many of them, over this window. */
const FAILING_SHARE = 0.5;
const FAILING_CALLS_MIN = 3;
const FAILING_WINDOW: Window = '2m';
const FAILING_FOR_MINUTES = 1;
/** How long nothing may be counted. */
const DOWN_FOR_MINUTES = 2;
/** A burn alerts later than a service that fails, so that the alert of the service withholds that of the objective. */
const BURN_FOR_MINUTES = 4;
/** An alert goes on for so long after its condition has ended, so that one that comes and goes is one alert. */
const KEEP_MINUTES = 5;

/** The alert of a service that fails. */
export const DEPENDENCY_FAILS = 'MillraceDependencyFails';
/** The alert of a deployment whose counts cannot be read. */
export const MILLRACE_DOWN = 'MillraceDown';

interface Timed {
  readonly alertname: string;
  readonly severity: Severity;
  /** How long its condition holds before it fires, in minutes; 0 for at once. */
  readonly forMinutes: number;
  /** How long it goes on firing after its condition has ended, in minutes. */
  readonly keepMinutes: number;
  readonly runbook: string;
}

/** The share of bad events exceeds a threshold over two windows. */
export interface BurnRule extends Timed {
  readonly kind: 'burn';
  readonly objective: Objective;
  readonly long: Window;
  readonly short: Window;
  readonly factor: number;
  readonly threshold: number;
}

/** Most calls of a service fail. One alert for each value of the label `peer`. */
export interface FailingRule extends Timed {
  readonly kind: 'failing';
  readonly bad: Selector;
  readonly all: Selector;
  readonly window: Window;
  readonly share: number;
  readonly badMin: number;
}

/** Nothing can be counted. */
export interface DownRule extends Timed {
  readonly kind: 'down';
}

export type AlertRule = BurnRule | FailingRule | DownRule;

/** An objective with the series that it counts. */
export interface Measured {
  readonly objective: Objective;
  readonly measure: Measure;
}

/** All rules, those of causes first: an alert of an objective depends on them. */
export function alertRulesOf(objectives: readonly Objective[]): AlertRule[] {
  return [...causes(), ...objectives.flatMap(burnsOf)];
}

export function measuredOf(objectives: readonly Objective[]): Measured[] {
  return objectives.map((objective) => ({ objective, measure: measureOf(objective.indicator) }));
}

/** The alert of an objective. */
export function alertOf({ name }: Pick<Objective, 'name'>): string {
  const words = name.split('_').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `Millrace${words.join('')}Burns`;
}

/** Which alerts withhold which. */
export function inhibitionsFor(objectives: readonly Objective[]): Inhibition[] {
  const names = { down: MILLRACE_DOWN, dependency: DEPENDENCY_FAILS };
  return inhibitionsOf(names, objectives.map(alertOf));
}

/** The labels of the alert of a rule; a failing service adds its `peer`. */
export function labelsOf(rule: AlertRule): Labels {
  const { alertname, severity } = rule;
  if (rule.kind !== 'burn') return { alertname, severity };
  return { alertname, severity, objective: rule.objective.name, window: rule.long };
}

/** A threshold of 1 or more can never be passed: with a low target only the slow burns are left. */
function burnsOf(objective: Objective): BurnRule[] {
  const budget = 1 - objective.target;
  return BURNS.filter(({ factor }) => factor * budget < 1).map(({ severity, long, short, factor }) => ({
    ...{ kind: 'burn', alertname: alertOf(objective), severity, objective, long, short, factor },
    threshold: rounded(factor * budget),
    ...{ forMinutes: BURN_FOR_MINUTES, keepMinutes: KEEP_MINUTES },
    runbook: `${RUNBOOKS}/${objective.name.replaceAll('_', '-')}.md`,
  }));
}

function causes(): (FailingRule | DownRule)[] {
  const failing = {
    ...({ kind: 'failing', alertname: DEPENDENCY_FAILS, window: FAILING_WINDOW } as const),
    ...{ share: FAILING_SHARE, badMin: FAILING_CALLS_MIN },
    ...{ forMinutes: FAILING_FOR_MINUTES, keepMinutes: KEEP_MINUTES },
    runbook: `${RUNBOOKS}/dependency-fails.md`,
  };
  const calls = (which: 'oneOf' | 'noneOf') => {
    const peer = which === 'oneOf' ? { oneOf: FELT_BY_USERS } : { noneOf: FELT_BY_USERS };
    return {
      bad: { name: PEER_CALLS, labels: { peer, outcome: { not: 'ok' } } },
      all: { name: PEER_CALLS, labels: { peer } },
    };
  };
  return [
    {
      ...{ kind: 'down', alertname: MILLRACE_DOWN, severity: 'page' },
      ...{ forMinutes: DOWN_FOR_MINUTES, keepMinutes: 0 },
      runbook: `${RUNBOOKS}/down.md`,
    },
    { ...failing, severity: 'page', ...calls('oneOf') },
    { ...failing, severity: 'ticket', ...calls('noneOf') },
  ];
}

/** Without the last digits of binary fractions: 0.0144, not 0.014400000000000012. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

/** What an alert says. `figure` is the share of bad events, as text. */
export function summaryOf(rule: AlertRule, peer: string): string {
  switch (rule.kind) {
    case 'burn':
      return `${rule.objective.description} For ${rule.long} this was missed ${rule.factor} times as often as it may be.`;
    case 'failing':
      return `${peer} fails or does not answer.`;
    case 'down':
      return 'Nothing can be counted.';
  }
}

export function descriptionOf(rule: AlertRule, figure: string): string {
  switch (rule.kind) {
    case 'burn':
      return `${figure} were bad; the objective allows ${rounded(100 * (1 - rule.objective.target))} % over 30 days.`;
    case 'failing':
      return `${figure} of the calls of the last ${WINDOW_MINUTES[rule.window]} minutes failed.`;
    case 'down':
      return 'The deployment does not answer, refuses the key, or has no statistics.';
  }
}

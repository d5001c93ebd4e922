import type { Objective } from '../define/objectives.ts';
import { FELT_BY_USERS, type Labels } from './alerts/graph.ts';
import { badShare } from './alerts/indicators.ts';
import {
  type AlertRule,
  alertRulesOf,
  BURN_WINDOWS,
  type BurnRule,
  DEPENDENCY_FAILS,
  descriptionOf,
  type FailingRule,
  labelsOf,
  type Measured,
  measuredOf,
  summaryOf,
  type Window,
} from './alerts/rules.ts';
import { promSelector } from './alerts/selectors.ts';

/** A rule of Prometheus. */
export type Rule =
  | { readonly record: string; readonly expr: string; readonly labels: Labels }
  | {
      readonly alert: string;
      readonly expr: string;
      readonly for?: string;
      readonly keep_firing_for?: string;
      readonly labels: Labels;
      readonly annotations: Labels;
    };

export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** The rules of Prometheus for these objectives, and for what usually causes their alerts. */
export function ruleGroupsOf(objectives: readonly Objective[]): RuleGroup[] {
  const rules = alertRulesOf(objectives);
  const alertsOf = (isBurn: boolean) =>
    rules.filter(({ kind }) => (kind === 'burn') === isBurn).map(alertRule);
  return [
    { name: 'millrace-indicators', rules: measuredOf(objectives).flatMap(recordsOf) },
    { name: 'millrace-causes', rules: alertsOf(false) },
    { name: 'millrace-objectives', rules: alertsOf(true) },
  ];
}

/** The recorded share of bad events in a window. */
function recorded(window: Window): string {
  return `millrace:bad_events:ratio_rate${window}`;
}

function recordsOf({ objective, measure }: Measured): Rule[] {
  return BURN_WINDOWS.map((window) => ({
    record: recorded(window),
    expr: badShare(measure, window),
    labels: { objective: objective.name },
  }));
}

function alertRule(rule: AlertRule): Rule {
  const { alertname, ...labels } = labelsOf(rule);
  return {
    alert: rule.alertname,
    expr: expressionOf(rule),
    ...minutesOf('for', rule.forMinutes),
    ...minutesOf('keep_firing_for', rule.keepMinutes),
    labels,
    annotations: {
      summary: summaryOf(rule, '{{ $labels.peer }}'),
      description: descriptionOf(rule, '{{ $value | humanizePercentage }}'),
      runbook: rule.runbook,
    },
  };
}

function minutesOf<Field extends string>(field: Field, minutes: number) {
  return (minutes === 0 ? {} : { [field]: `${minutes}m` }) as Partial<Record<Field, string>>;
}

function expressionOf(rule: AlertRule): string {
  switch (rule.kind) {
    case 'burn':
      return burnOf(rule);
    case 'failing':
      return failingOf(rule);
    case 'down':
      return 'up{job="millrace"} == 0';
  }
}

/** A burn does not alert while its short window has a moment of a service that users feel and whose own alert fired. */
function burnOf({ objective, long, short, threshold }: BurnRule): string {
  const above = (window: Window) => `${recorded(window)}{objective="${objective.name}"} > ${threshold}`;
  const cause = promSelector({
    name: 'ALERTS',
    labels: {
      alertname: { is: DEPENDENCY_FAILS },
      alertstate: { is: 'firing' },
      peer: { oneOf: FELT_BY_USERS },
    },
  });
  return `(${above(long)} and ${above(short)}) unless on () count_over_time(${cause}[${short}])`;
}

function failingOf({ bad, all, window, share, badMin }: FailingRule): string {
  const sum = (fold: 'rate' | 'increase', selector: string) =>
    `sum by (peer) (${fold}(${selector}[${window}]))`;
  const failed = promSelector(bad);
  return (
    `${sum('rate', failed)} / ${sum('rate', promSelector(all))} > ${share} ` +
    `and ${sum('increase', failed)} >= ${badMin}`
  );
}

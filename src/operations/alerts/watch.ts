import * as z from 'zod';
import type { Objective } from '../../define/objectives.ts';
import type { CounterSample } from '../../platform/counters.ts';
import { Alert, type AlertEvent, groupAlerts } from './alerts.ts';
import { type Active, activeOf, isFelt, objectiveName, peerName, readingOf, shareOf } from './evaluation.ts';
import type { Inhibition } from './graph.ts';
import { BUDGET_MINUTES, type CountHistory, type Counts, increaseOf } from './history.ts';
import {
  type AlertRule,
  alertRulesOf,
  DEPENDENCY_FAILS,
  inhibitionsFor,
  type Measured,
  measuredOf,
  WINDOW_MINUTES,
} from './rules.ts';
import type { Silence } from './silences.ts';
import { InstanceState, stepRule } from './states.ts';
import type { TargetStatus } from './targets.ts';

/** What an evaluation leaves for the next one. */
export const WatchState = z.object({
  /** The newest evaluated minute; 0 before the first. */
  minute: z.int(),
  isCounted: z.boolean(),
  /** The totals of the newest reading, `[bad, all]` by name. */
  totals: z.record(z.string(), z.tuple([z.number(), z.number()])).nullable(),
  /** The last minute in which the alert of a service that users feel was firing. */
  feltMinute: z.int().nullable(),
  instances: z.record(z.string(), InstanceState),
  alerts: z.record(z.string(), Alert),
});
export type WatchState = z.output<typeof WatchState>;

export const NOTHING_WATCHED: WatchState = {
  ...{ minute: 0, isCounted: true, totals: null, feltMinute: null, instances: {}, alerts: {} },
};

/** What is evaluated, and how long a minute is. */
export interface WatchRules {
  readonly rules: readonly AlertRule[];
  readonly measured: readonly Measured[];
  readonly inhibitions: readonly Inhibition[];
  /** The length of a minute of the rules, in milliseconds. */
  readonly minuteMs: number;
}

export function watchRulesOf(objectives: readonly Objective[], minuteMs: number): WatchRules {
  return {
    rules: alertRulesOf(objectives),
    measured: measuredOf(objectives),
    inhibitions: inhibitionsFor(objectives),
    minuteMs,
  };
}

/** One minute to evaluate. */
export interface WatchStep {
  readonly minute: number;
  /** The totals of all isolates; undefined if they could not be read. */
  readonly totals: readonly CounterSample[] | undefined;
  readonly silences: readonly Silence[];
  readonly newId: () => string;
}

/**
 * Evaluates all rules for a minute: counts, conditions, states, then alerts. Pure but for the history, to which it adds the
 * counts of the minute.
 */
export function stepWatch(
  state: WatchState,
  history: CountHistory,
  rules: WatchRules,
  { minute, totals, silences, newId }: WatchStep,
): { readonly state: WatchState; readonly events: readonly AlertEvent[]; readonly counts: Counts } {
  const reading = totals === undefined ? undefined : readingOf(rules.measured, rules.rules, totals);
  const counts = reading === undefined ? new Map() : increaseOf(countsIn(state.totals), reading);
  history.add(counts, minute);
  const peers = [...(reading ?? countsIn(state.totals) ?? new Map()).keys()].flatMap((name) =>
    name.startsWith(peerName('')) ? [name.slice(peerName('').length)] : [],
  );
  let instances: ReadonlyMap<string, InstanceState> = new Map(Object.entries(state.instances));
  let feltMinute = state.feltMinute ?? undefined;
  for (const rule of rules.rules) {
    const seen = { history, minute, isCounted: reading !== undefined, peers, feltMinute };
    // Without counts nothing is known, so no alert begins or ends but that of the missing counts.
    if (reading === undefined && rule.kind !== 'down') continue;
    const active: Active[] = activeOf(rule, seen);
    instances = stepRule(instances, rule, active, minute);
    if (rule.kind === 'failing' && [...instances.values()].some(isFeltCause)) feltMinute = minute;
  }
  const { alerts, events } = groupAlerts(new Map(Object.entries(state.alerts)), {
    ...{ instances, rules: rules.rules, inhibitions: rules.inhibitions, silences },
    ...{ minute, minuteMs: rules.minuteMs, newId },
  });
  const after: WatchState = {
    minute,
    isCounted: reading !== undefined,
    totals: reading === undefined ? state.totals : pairsOf(reading),
    feltMinute: feltMinute ?? null,
    instances: Object.fromEntries(instances),
    alerts: Object.fromEntries(alerts),
  };
  return { state: after, events, counts };
}

function isFeltCause({ labels, firingMinute }: InstanceState): boolean {
  return firingMinute !== null && labels['alertname'] === DEPENDENCY_FAILS && isFelt(labels['peer'] ?? '');
}

function countsIn(totals: WatchState['totals']): Counts | undefined {
  if (totals === null) return undefined;
  return new Map(Object.entries(totals).map(([name, [bad, all]]) => [name, { bad, all }]));
}

function pairsOf(counts: Counts): NonNullable<WatchState['totals']> {
  return Object.fromEntries([...counts].map(([name, { bad, all }]) => [name, [bad, all]]));
}

/** What is known of alerts and objectives, for people. */
export interface AlertsReport {
  /** When the rules were last evaluated, in milliseconds since the Unix epoch; 0 for never. */
  readonly evaluatedMs: number;
  readonly isCounted: boolean;
  readonly alerts: readonly Alert[];
  readonly objectives: readonly ObjectiveStatus[];
  readonly targets: readonly TargetStatus[];
  /** The deploys that were noticed, the newest first. */
  readonly deploys: readonly Deploy[];
}

/** A deploy, as it was noticed. */
export interface Deploy {
  readonly id: string;
  readonly atMs: number;
}

/** Where an objective is. */
export interface ObjectiveStatus {
  readonly name: string;
  readonly description: string;
  readonly target: number;
  /** The share of bad events in each window of the rules; null without events. */
  readonly badShares: Readonly<Record<string, number | null>>;
  /** The budget of 30 days: events, bad ones, and the part of the allowed bad ones that is left (negative: overspent). */
  readonly budget: { readonly all: number; readonly bad: number; readonly left: number | null };
}

export function objectiveStatus(
  { name, description, target }: Objective,
  history: CountHistory,
  minute: number,
): ObjectiveStatus {
  const within = (minutes: number) => history.within(objectiveName(name), minutes, minute);
  const { all, bad } = within(BUDGET_MINUTES);
  const badShares = Object.fromEntries(
    Object.entries(WINDOW_MINUTES).map(([window, minutes]) => [window, shareOf(within(minutes)) ?? null]),
  );
  const left = all === 0 ? null : 1 - bad / (all * (1 - target));
  return { name, description, target, badShares, budget: { all, bad, left } };
}

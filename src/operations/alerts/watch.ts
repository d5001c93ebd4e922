import * as z from 'zod';
import type { Objective } from '../../define/objectives.ts';
import type { CounterSample } from '../../platform/counters.ts';
import type { LastError } from '../dependencies.ts';
import { Alert, type AlertEvent, groupAlerts } from './alerts.ts';
import { type Active, activeOf, isFelt, objectiveName, peerName, readingOf, shareOf } from './evaluation.ts';
import type { Inhibition } from './graph.ts';
import { BUDGET_MINUTES, bucketOf, type CountHistory, type Counts, increaseOf } from './history.ts';
import type { Regression } from './regressions.ts';
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
import { stepsUntil, TREND_VALUES } from './trends.ts';

/** The width of the buckets in which a trend is sought. */
const TREND_MINUTES = 15;

/** What an evaluation leaves for the next one. */
export const WatchState = z.object({
  /** The newest evaluated minute; 0 before the first. */
  minute: z.int(),
  isCounted: z.boolean(),
  /** The totals of the newest reading, `[bad, all]` by name. */
  totals: z.record(z.string(), z.tuple([z.number(), z.number()])).nullable(),
  /** The last minute in which the alert of a service that users feel was firing. */
  feltMinute: z.int().nullable(),
  /** By service, the newest minute in which calls of it failed. */
  lastErrors: z
    .record(z.string(), z.object({ atMs: z.int(), failed: z.number(), calls: z.number() }))
    .default({}),
  instances: z.record(z.string(), InstanceState),
  alerts: z.record(z.string(), Alert),
});
export type WatchState = z.output<typeof WatchState>;

export const NOTHING_WATCHED: WatchState = {
  ...{ minute: 0, isCounted: true, totals: null, feltMinute: null },
  ...{ lastErrors: {}, instances: {}, alerts: {} },
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
    lastErrors: { ...state.lastErrors, ...errorsIn(counts, minute * rules.minuteMs) },
    instances: Object.fromEntries(instances),
    alerts: Object.fromEntries(alerts),
  };
  return { state: after, events, counts };
}

/** Services of which calls failed in a minute. */
function errorsIn(counts: Counts, atMs: number): Record<string, LastError> {
  const failed = [...counts].flatMap(([name, { bad, all }]): [string, LastError][] => {
    if (!name.startsWith(peerName('')) || bad === 0) return [];
    return [[name.slice(peerName('').length), { atMs, failed: bad, calls: all }]];
  });
  return Object.fromEntries(failed);
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
  /** What has become slower or more expensive. */
  readonly regressions: readonly Regression[];
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
  readonly budget: {
    readonly all: number;
    readonly bad: number;
    readonly left: number | null;
    /** In how many hours nothing is left, if it goes on as in the last day; null if that leaves some. */
    readonly hoursLeft: number | null;
  };
  /** In how many minutes it burns faster than it may, if the trend of the last six hours goes on; null if it does not. */
  readonly burnsInMinutes: number | null;
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
  const burn = (badShares['1d'] ?? 0) / (1 - target);
  const hoursLeft = left !== null && left > 0 && burn > 1 ? (left * BUDGET_MINUTES) / 60 / burn : null;
  const newest = bucketOf(TREND_MINUTES, minute);
  const byBucket = new Map(
    history.series(objectiveName(name), TREND_MINUTES).map(({ bucket, counts }) => [bucket, shareOf(counts)]),
  );
  const shares = Array.from({ length: TREND_VALUES }, (_, at) =>
    byBucket.get(newest - TREND_VALUES + 1 + at),
  );
  const steps = stepsUntil(shares, 1 - target);
  const budget = { all, bad, left, hoursLeft };
  const burnsInMinutes = steps === undefined ? null : steps * TREND_MINUTES;
  return { name, description, target, badShares, budget, burnsInMinutes };
}

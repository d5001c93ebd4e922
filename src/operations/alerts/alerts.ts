import * as z from 'zod';
import { type Inhibition, inhibits, type Labels } from './graph.ts';
import { type AlertRule, descriptionOf, labelsOf, SEVERITIES, type Severity, summaryOf } from './rules.ts';
import { type Silence, silencing } from './silences.ts';
import type { InstanceState, Instances } from './states.ts';

/** An effect of a cause that has ended is withheld for so long, in minutes. */
const LINGER_MINUTES = 10;
/** An alert that fires again so soon is the same one, in minutes. */
const REOPEN_MINUTES = 15;
/** How often an alert that goes on is notified again, in milliseconds. */
const REPEAT_MS = 4 * 3_600_000;
/** The most alerts that are remembered, resolved ones of the last minutes included. */
const ALERTS_MAX = 200;

/**
 * An alert as people get it: the instances of rules with one name, objective and service are one alert, whose severity is
 * the worst of them.
 */
export const Alert = z.object({
  id: z.string(),
  alertname: z.string(),
  /** `objective` or `peer`, or `route`. */
  labels: z.record(z.string(), z.string()),
  severity: z.enum(SEVERITIES),
  state: z.enum(['pending', 'firing', 'resolved']),
  /** Milliseconds since the Unix epoch. */
  sinceMs: z.int(),
  firedMs: z.int().nullable(),
  resolvedMs: z.int().nullable(),
  summary: z.string(),
  description: z.string(),
  runbook: z.string(),
  /** The alert that withholds this one. */
  inhibitedBy: z.string().nullable(),
  /** The id of the silence that withholds this one. */
  silencedBy: z.string().nullable(),
  /** The severity with which it was notified; null if nobody was. */
  notified: z.enum(SEVERITIES).nullable(),
  notifiedMs: z.int().nullable(),
  /** How often it has fired. */
  times: z.int(),
  /** The labels of its instances when it last fired. */
  instances: z.array(z.record(z.string(), z.string())),
});
export type Alert = z.output<typeof Alert>;

/** What people are told of an alert. */
export interface AlertEvent {
  readonly type: 'firing' | 'escalated' | 'repeated' | 'resolved';
  readonly alert: Alert;
}

/** What an evaluation groups into alerts. */
export interface Grouping {
  readonly instances: Instances;
  readonly rules: readonly AlertRule[];
  readonly inhibitions: readonly Inhibition[];
  readonly silences: readonly Silence[];
  readonly minute: number;
  /** The length of a minute, in milliseconds. */
  readonly minuteMs: number;
  readonly newId: () => string;
}

/** The alerts after an evaluation, by their group, and what people have to be told. */
export function groupAlerts(
  before: ReadonlyMap<string, Alert>,
  grouping: Grouping,
): { readonly alerts: Map<string, Alert>; readonly events: AlertEvent[] } {
  const { instances, minute, minuteMs } = grouping;
  const alerts = new Map<string, Alert>();
  const events: AlertEvent[] = [];
  const groups = Map.groupBy(instances.values(), ({ labels }) => groupKey(labels));
  for (const [key, members] of groups) {
    if (alerts.size >= ALERTS_MAX) break;
    alerts.set(key, grouped(before.get(key), members, before, grouping));
  }
  for (const [key, alert] of before) {
    if (alerts.has(key)) continue;
    const resolved = resolvedAt(alert, grouping);
    if (resolved !== undefined && alerts.size < ALERTS_MAX) alerts.set(key, resolved);
  }
  for (const [key, alert] of alerts) {
    const told = toldOf(alert, minute * minuteMs);
    if (told === undefined) continue;
    alerts.set(key, told.alert);
    events.push(told);
  }
  return { alerts, events };
}

/** Instances of one name, objective and service are one alert. */
export function groupKey(labels: Labels): string {
  return JSON.stringify([
    labels['alertname'],
    labels['objective'] ?? '',
    labels['peer'] ?? labels['route'] ?? '',
  ]);
}

function grouped(
  known: Alert | undefined,
  members: readonly InstanceState[],
  before: ReadonlyMap<string, Alert>,
  grouping: Grouping,
): Alert {
  const { minute, minuteMs, newId } = grouping;
  const firing = members.filter(({ firingMinute }) => firingMinute !== null);
  const shown = firing.length > 0 ? firing : members;
  const [worst] = shown.toSorted((a, b) => rank(a) - rank(b) || b.share - a.share);
  if (worst === undefined) throw new RangeError('A group of alerts has a member.');
  const rule = grouping.rules.find((of) => isRuleOf(of, worst.labels));
  const peer = worst.labels['peer'] ?? '';
  const figure = `${(100 * worst.share).toPrecision(3)} %`;
  const isAgain = known?.state === 'resolved' && firing.length > 0;
  const isSame = known !== undefined && (known.state !== 'resolved' || isRecent(known, grouping));
  return {
    ...(isSame ? known : freshAlert(newId())),
    alertname: worst.labels['alertname'] ?? '',
    labels: kept(worst.labels),
    severity: severityOf(worst),
    state: firing.length > 0 ? 'firing' : isSame && known.state === 'resolved' ? 'resolved' : 'pending',
    sinceMs: isSame && !isAgain ? known.sinceMs : Math.min(...shown.map((of) => of.sinceMinute)) * minuteMs,
    ...firedFields(isSame ? known : undefined, firing.length > 0, isAgain, minute * minuteMs),
    summary: rule === undefined ? '' : summaryOf(rule, peer),
    description: rule === undefined ? '' : descriptionOf(rule, figure),
    runbook: rule?.runbook ?? '',
    ...withheld(firing, before, grouping),
    instances: shown.map(({ labels }) => labels),
  };
}

function firedFields(known: Alert | undefined, isFiring: boolean, isAgain: boolean, nowMs: number) {
  if (!isFiring)
    return {
      firedMs: known?.firedMs ?? null,
      resolvedMs: known?.resolvedMs ?? null,
      times: known?.times ?? 0,
    };
  const isNew = isAgain || known?.firedMs == null;
  return {
    firedMs: isNew ? nowMs : known.firedMs,
    resolvedMs: null,
    times: (known?.times ?? 0) + (isNew ? 1 : 0),
  };
}

function freshAlert(id: string) {
  return { id, notified: null, notifiedMs: null };
}

/** An alert without an instance: resolved if it fired, and forgotten some minutes later. */
function resolvedAt(alert: Alert, grouping: Grouping): Alert | undefined {
  if (alert.state === 'pending') return undefined;
  if (alert.state === 'firing')
    return {
      ...{ ...alert, state: 'resolved', inhibitedBy: null, silencedBy: null },
      resolvedMs: grouping.minute * grouping.minuteMs,
    };
  return isRecent(alert, grouping) ? alert : undefined;
}

function isRecent({ resolvedMs }: Alert, { minute, minuteMs }: Grouping): boolean {
  return resolvedMs !== null && minute - resolvedMs / minuteMs <= REOPEN_MINUTES;
}

/** Why nobody is told of an alert: each of its firing instances is an effect of another alert, or is silenced. */
function withheld(
  firing: readonly InstanceState[],
  before: ReadonlyMap<string, Alert>,
  grouping: Grouping,
): Pick<Alert, 'inhibitedBy' | 'silencedBy'> {
  const free = firing.filter((instance) => causeOf(instance, before, grouping) === undefined);
  const [first] = firing;
  if (free.length === 0 && first !== undefined)
    return { inhibitedBy: causeOf(first, before, grouping) ?? null, silencedBy: null };
  const nowMs = grouping.minute * grouping.minuteMs;
  const silences = free.map(({ labels }) => silencing(grouping.silences, labels, nowMs));
  const isSilent = free.length > 0 && silences.every((silence) => silence !== undefined);
  return { inhibitedBy: null, silencedBy: isSilent ? (silences[0]?.id ?? null) : null };
}

/** The alert that withholds an instance: one that is active, pending included, or that ended after the instance began. */
function causeOf(
  effect: InstanceState,
  before: ReadonlyMap<string, Alert>,
  { instances, inhibitions, minute, minuteMs }: Grouping,
): string | undefined {
  const inhibitsEffect = (cause: Labels) => inhibitions.some((of) => inhibits(of, cause, effect.labels));
  for (const { labels } of instances.values())
    if (labels !== effect.labels && inhibitsEffect(labels)) return nameOf(labels);
  for (const { state, resolvedMs, instances: ended } of before.values()) {
    // One that still fires in `before` and has no instance any more ends with this evaluation.
    const atMinute = state === 'resolved' && resolvedMs !== null ? resolvedMs / minuteMs : minute;
    if (state === 'pending') continue;
    if (minute - atMinute > LINGER_MINUTES || effect.sinceMinute > atMinute) continue;
    const cause = ended.find((labels) => inhibitsEffect(labels));
    if (cause !== undefined) return nameOf(cause);
  }
  return undefined;
}

/** An alert's name with its service or objective, for people. */
export function nameOf(labels: Labels): string {
  const of = labels['peer'] ?? labels['objective'] ?? labels['route'];
  return of === undefined ? (labels['alertname'] ?? '') : `${labels['alertname']} (${of})`;
}

/** What people have to be told of an alert now; undefined for nothing. */
function toldOf(alert: Alert, nowMs: number): AlertEvent | undefined {
  const { state, notified, notifiedMs, severity } = alert;
  if (state === 'resolved' && notified !== null)
    return { type: 'resolved', alert: { ...alert, notified: null, notifiedMs: nowMs } };
  if (state !== 'firing' || alert.inhibitedBy !== null || alert.silencedBy !== null) return undefined;
  const isWorse = notified !== null && SEVERITIES.indexOf(severity) < SEVERITIES.indexOf(notified);
  const isDue = notifiedMs !== null && nowMs - notifiedMs >= REPEAT_MS;
  if (notified !== null && !isWorse && !isDue) return undefined;
  const type = notified === null ? 'firing' : isWorse ? 'escalated' : 'repeated';
  return { type, alert: { ...alert, notified: severity, notifiedMs: nowMs } };
}

function kept(labels: Labels): Record<string, string> {
  const { peer, objective, route } = labels;
  return {
    ...(peer === undefined ? {} : { peer }),
    ...(objective === undefined ? {} : { objective }),
    ...(route === undefined ? {} : { route }),
  };
}

function isRuleOf(rule: AlertRule, labels: Labels): boolean {
  return Object.entries(labelsOf(rule)).every(([label, value]) => labels[label] === value);
}

function severityOf({ labels }: InstanceState): Severity {
  return labels['severity'] === 'page' ? 'page' : 'ticket';
}

function rank(instance: InstanceState): number {
  return SEVERITIES.indexOf(severityOf(instance));
}

import * as z from 'zod';
import type { Active } from './evaluation.ts';
import type { Labels } from './graph.ts';
import type { AlertRule } from './rules.ts';

/**
 * The state of each alert, as Prometheus has it: `pending` while its condition has not held for long enough, `firing` from
 * then on, and for a while after the condition has ended (`keep_firing_for`). Pure: the minute is passed in.
 */
export const InstanceState = z.object({
  labels: z.record(z.string(), z.string()),
  /** Since when the condition holds, in minutes since the Unix epoch. */
  sinceMinute: z.int(),
  /** Since when it fires; null while it is pending. */
  firingMinute: z.int().nullable(),
  /** Since when the condition has ended, while it still fires; null while the condition holds. */
  endedMinute: z.int().nullable(),
  /** The share of bad events when the condition last held. */
  share: z.number(),
});
export type InstanceState = z.output<typeof InstanceState>;

/** The most alerts that are remembered: four of each objective, and one of each service. */
const INSTANCES_MAX = 400;

/** The alerts by their labels as a text. */
export type Instances = ReadonlyMap<string, InstanceState>;

/** One text for the same labels. */
export function instanceKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The states after an evaluation of one rule. Instances of other rules are not touched. */
export function stepRule(
  before: Instances,
  rule: AlertRule,
  active: readonly Active[],
  minute: number,
): Map<string, InstanceState> {
  const after = new Map(before);
  const held = new Map(active.map((found) => [instanceKey(found.labels), found]));
  for (const [key, { labels, share }] of held) {
    const known = after.get(key);
    if (known === undefined && after.size >= INSTANCES_MAX) continue;
    const sinceMinute = known?.sinceMinute ?? minute;
    const isFiring = known?.firingMinute != null || minute - sinceMinute >= rule.forMinutes;
    const firingMinute = known?.firingMinute ?? (isFiring ? minute : null);
    after.set(key, { labels, share, sinceMinute, firingMinute, endedMinute: null });
  }
  for (const [key, known] of before) {
    if (held.has(key) || !isOf(rule, known.labels)) continue;
    const endedMinute = known.endedMinute ?? minute;
    const isKept = known.firingMinute !== null && minute - endedMinute < rule.keepMinutes;
    if (isKept) after.set(key, { ...known, endedMinute });
    else after.delete(key);
  }
  return after;
}

function isOf(rule: AlertRule, labels: Labels): boolean {
  if (labels['alertname'] !== rule.alertname || labels['severity'] !== rule.severity) return false;
  return rule.kind !== 'burn' || labels['window'] === rule.long;
}

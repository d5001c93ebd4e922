import type { CounterSample } from '../../platform/counters.ts';
import { FELT_BY_USERS, type Labels } from './graph.ts';
import type { CountHistory, Counts } from './history.ts';
import { type BadOfAll, countsOf } from './indicators.ts';
import { type AlertRule, type FailingRule, labelsOf, type Measured, WINDOW_MINUTES } from './rules.ts';
import { isSelected } from './selectors.ts';

/** Names of counts. */
export function objectiveName(objective: string): string {
  return `objective:${objective}`;
}
export function peerName(peer: string): string {
  return `peer:${peer}`;
}

/** What the rules count of the totals of all isolates. */
export function readingOf(
  measured: readonly Measured[],
  rules: readonly AlertRule[],
  totals: readonly CounterSample[],
): Counts {
  const counts = new Map<string, BadOfAll>();
  for (const { objective, measure } of measured)
    counts.set(objectiveName(objective.name), countsOf(measure, totals));
  for (const rule of rules) {
    if (rule.kind !== 'failing') continue;
    for (const sample of totals) {
      if (!isSelected(rule.all, sample)) continue;
      const name = peerName(sample.labels['peer'] ?? '');
      const { bad, all } = counts.get(name) ?? { bad: 0, all: 0 };
      const isBad = isSelected(rule.bad, sample);
      counts.set(name, { bad: bad + (isBad ? sample.value : 0), all: all + sample.value });
    }
  }
  return counts;
}

/** An alert whose condition holds. */
export interface Active {
  readonly rule: AlertRule;
  readonly labels: Labels;
  /** The share of bad events; 1 if nothing can be counted. */
  readonly share: number;
}

/** What an evaluation knows. */
export interface Seen {
  readonly history: CountHistory;
  readonly minute: number;
  /** Whether the totals of this minute could be read. */
  readonly isCounted: boolean;
  /** The services that the history has. */
  readonly peers: readonly string[];
  /** The last minute in which the alert of a service that users feel was firing; undefined for none. */
  readonly feltMinute: number | undefined;
}

/** The alerts of one rule whose condition holds now. */
export function activeOf(rule: AlertRule, seen: Seen): Active[] {
  switch (rule.kind) {
    case 'down':
      return seen.isCounted ? [] : [{ rule, labels: labelsOf(rule), share: 1 }];
    case 'failing':
      return seen.peers.filter((peer) => isPeerOf(rule, peer)).flatMap((peer) => failingOf(rule, peer, seen));
    case 'burn': {
      const name = objectiveName(rule.objective.name);
      const share = (window: keyof typeof WINDOW_MINUTES) =>
        shareOf(seen.history.within(name, WINDOW_MINUTES[window], seen.minute));
      const [long, short] = [share(rule.long), share(rule.short)];
      if (long === undefined || short === undefined) return [];
      const isBurning = long > rule.threshold && short > rule.threshold && !isExplained(rule.short, seen);
      return isBurning ? [{ rule, labels: labelsOf(rule), share: long }] : [];
    }
  }
}

function failingOf(rule: FailingRule, peer: string, { history, minute }: Seen): Active[] {
  const counted = history.within(peerName(peer), WINDOW_MINUTES[rule.window], minute);
  const share = shareOf(counted);
  if (share === undefined || share <= rule.share || counted.bad < rule.badMin) return [];
  return [{ rule, labels: { ...labelsOf(rule), peer }, share }];
}

/** Whether a service that users feel failed within the window: its own alert reports that. */
function isExplained(window: keyof typeof WINDOW_MINUTES, { feltMinute, minute }: Seen): boolean {
  return feltMinute !== undefined && minute - feltMinute <= WINDOW_MINUTES[window];
}

function isPeerOf({ all }: FailingRule, peer: string): boolean {
  return isSelected(all, { name: all.name, labels: { peer }, value: 0 });
}

export function isFelt(peer: string): boolean {
  return FELT_BY_USERS.some((felt) => felt === peer);
}

/** The share of bad events; undefined without events. */
export function shareOf({ bad, all }: BadOfAll): number | undefined {
  return all > 0 ? bad / all : undefined;
}

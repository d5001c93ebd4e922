/**
 * How answers and later events become a hit rate. The unit is a trial: the first logged answer of a version for an entity
 * opens it, and further answers of the version for the same entity belong to it until its window ends. So an entity that
 * asks often counts once in a window, and trials are close to independent. Pure.
 */

import type { EventValue } from '../../define/feature-definition.ts';
import type { FeedbackDefinition } from '../../define/feedback.ts';
import { armOf } from '../rollout/assignment.ts';
import type { Batch } from '../rollout/comparison.ts';
import type { ServedRecord } from './record.ts';

/** The positions that are counted each for itself. */
export const POSITIONS_MAX = 20;
const DAY_MS = 86_400_000;

/** An answer that waits for its labels. Times are in milliseconds since the Unix epoch. */
export interface Trial {
  readonly model: string;
  readonly version: string;
  readonly key: string;
  readonly atMs: number;
  /** The end of the window in which an event has to happen. */
  readonly closesMs: number;
  /** When all events of the window that count are stored. */
  readonly dueMs: number;
  /** Null outside of a rollout. */
  readonly rollout: ServedRecord['rollout'];
  readonly isExplored: boolean;
  readonly items: readonly string[] | null;
  readonly answer: Readonly<Record<string, unknown>> | null;
  /** When the first event of the window happened; null without one. */
  readonly labelledMs: number | null;
  /** The positions, from 0, whose item an event has named; of a prediction, 0 if the first event agrees with it. */
  readonly hits: readonly number[];
}

/** What a record counts as. Only answers that the version itself made are judged by events. */
export function kindOf({ source, degraded, version, explored }: ServedRecord): AnswerKind {
  if (degraded !== null) return 'degraded';
  if (source !== 'model' || version === null) return 'other';
  return explored === null ? 'answers' : 'explored';
}
export type AnswerKind = 'answers' | 'explored' | 'degraded' | 'other';

/** The trial that an answer opens, unless one is open; undefined if events cannot judge it. */
export function trialOf(record: ServedRecord, { withinMs, lateMs }: FeedbackDefinition): Trial | undefined {
  const { model, version, key, at: atMs, rollout, explored, items, answer } = record;
  const kind = kindOf(record);
  if (version === null || (kind !== 'answers' && kind !== 'explored')) return undefined;
  if (items === null ? answer === null : items.length === 0) return undefined;
  return {
    ...{ model, version, key, atMs, closesMs: atMs + withinMs, dueMs: atMs + withinMs + lateMs },
    ...{ rollout, isExplored: explored !== null, labelledMs: null, hits: [] },
    items: items?.map(([item]) => item) ?? null,
    answer: items === null ? answer : null,
  };
}

/** What an event says of an entity. */
export interface LabelEvent {
  readonly occurredAt: number;
  readonly value: EventValue;
}

/** The trial with what an event adds to it. */
export function withLabel(
  trial: Trial,
  { occurredAt, value }: LabelEvent,
  { hits }: Pick<FeedbackDefinition, 'hits'>,
): Trial {
  const { items, answer, labelledMs } = trial;
  if (value === null || occurredAt <= trial.atMs || occurredAt > trial.closesMs) return trial;
  const isFirst = labelledMs === null || occurredAt < labelledMs;
  if (items === null)
    // A prediction is of the next event alone.
    return isFirst ? { ...trial, labelledMs: occurredAt, hits: hits(value, answer ?? {}) ? [0] : [] } : trial;
  const position = items.indexOf(String(value));
  const isNew = position >= 0 && !trial.hits.includes(position);
  if (!isFirst && !isNew) return trial;
  return {
    ...trial,
    labelledMs: isFirst ? occurredAt : labelledMs,
    hits: isNew ? [...trial.hits, position] : trial.hits,
  };
}

/** Whether a trial says anything: a prediction that no event followed does not; an answer of items does. */
function isJudged({ items, labelledMs }: Trial): boolean {
  return items !== null || labelledMs !== null;
}

/** A count of a version on the day, UTC, on which its answers were made. */
export interface NamedCount {
  readonly model: string;
  readonly version: string;
  readonly day: string;
  readonly name: string;
  readonly n: number;
}

/** What ended trials add to the counts. */
export function countsOf(trials: readonly Trial[]): NamedCount[] {
  const sums = new Map<string, NamedCount>();
  for (const trial of trials) {
    const { model, version, atMs, isExplored, items, hits, labelledMs } = trial;
    const day = dayOf(atMs);
    const prefix = isExplored ? 'explored.' : '';
    const add = (name: string) => {
      const count = { model, version, day, name: prefix + name };
      const id = JSON.stringify(count);
      sums.set(id, { ...count, n: (sums.get(id)?.n ?? 0) + 1 });
    };
    if (labelledMs === null) add('unlabelled');
    if (!isJudged(trial)) continue;
    add('trials');
    if (hits.length > 0) add('hits');
    for (let at = 0; at < Math.min(items?.length ?? 0, POSITIONS_MAX); at += 1) {
      add(`shown.${at}`);
      if (hits.includes(at)) add(`hit.${at}`);
    }
  }
  return [...sums.values()];
}

export function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

/**
 * Ended trials as batches of the comparison of a rollout: the trials of one day with their misses. An entity whose arm has
 * changed since, because the share has grown, is left out, so the arms stay divided by the hash of the key alone; explored
 * answers are left out too.
 *
 * @param shareOf the share that a rollout has reached, in percent.
 */
export function batchesOf(
  trials: readonly Trial[],
  shareOf: (rollout: string) => number,
): { readonly model: string; readonly rollout: string; readonly batches: Batch[] }[] {
  const compared = trials.flatMap((trial) => {
    const { rollout, key, isExplored } = trial;
    if (rollout === null || isExplored || !isJudged(trial)) return [];
    return armOf(rollout.id, shareOf(rollout.id), key) === rollout.arm ? [{ ...trial, rollout }] : [];
  });
  const byRollout = Map.groupBy(compared, ({ model, rollout }) => JSON.stringify([model, rollout.id]));
  return [...byRollout.values()].flatMap((own) => {
    const [first] = own;
    if (first === undefined) return [];
    const days = Map.groupBy(own, ({ atMs }) => Math.floor(atMs / DAY_MS));
    const batches = [...days.values()].map((ofDay) => {
      const [champion, canary] = (['champion', 'canary'] as const).map((arm) =>
        ofDay.filter(({ rollout }) => rollout.arm === arm),
      );
      const missed = (of: readonly Trial[] = []) => of.filter(({ hits }) => hits.length === 0).length;
      return [champion?.length ?? 0, missed(champion), canary?.length ?? 0, missed(canary)];
    });
    return [{ model: first.model, rollout: first.rollout.id, batches }];
  });
}

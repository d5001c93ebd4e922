import { answerOf } from '../../features/answer.ts';
import type { FeatureRow } from '../../features/shards.ts';
import type { DegradedReason } from '../degraded.ts';
import type { Explained } from './explanation.ts';

/** The parts of an answer that a client has to ask for. */
export const INCLUDED = ['features', 'contributions'] as const;
export type Included = (typeof INCLUDED)[number];

/** The one text of a set of parts, as the query of a path has it; undefined for none. */
export function includeText(include: readonly Included[]): string | undefined {
  const names = INCLUDED.filter((name) => include.includes(name));
  return names.length === 0 ? undefined : names.join(',');
}

/** The parts that such a text names. */
export function includedIn(text: unknown): Included[] {
  return typeof text === 'string' ? INCLUDED.filter((name) => text.split(',').includes(name)) : [];
}

/** When an answer's features were read, and when their events happened. Milliseconds since the Unix epoch. */
export interface Freshness {
  readonly asOf: number;
  /** Null without an event. */
  readonly newestEventAt: number | null;
  readonly oldestEventAt: number | null;
}

/**
 * The features that an answer was made of, with its freshness.
 *
 * @param row of the features that the model uses; undefined if something else made the answer.
 * @param now when they were read, milliseconds since the Unix epoch.
 */
export function featuresPart(row: FeatureRow | undefined, now: number): Readonly<Record<string, unknown>> {
  if (row === undefined) return { features: null, freshness: null };
  const names = Object.keys(row);
  const times = names.flatMap((name) => row[name]?.eventAt ?? []);
  const freshness: Freshness = {
    asOf: now,
    newestEventAt: times.length === 0 ? null : Math.max(...times),
    oldestEventAt: times.length === 0 ? null : Math.min(...times),
  };
  return { features: answerOf(row, { names, now, derived: [], requests: new Map() }), freshness };
}

/** The explanation of an answer that has none. */
export function unexplained(reason: DegradedReason): Explained {
  return { status: 'unavailable', reason };
}

/** The parts of an answer that is known without features and without a model. */
export function partsOfNothing(
  include: readonly Included[],
  reason: DegradedReason,
): Readonly<Record<string, unknown>> {
  return {
    ...(include.includes('features') ? featuresPart(undefined, 0) : {}),
    ...(include.includes('contributions') ? { explanation: unexplained(reason) } : {}),
  };
}

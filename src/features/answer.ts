import type { DerivedFeature } from '../define/feature-derived.ts';
import type { FeatureRow, FeatureValue } from '../define/feature-value.ts';
import { withinAge } from './read.ts';

/** A value as a client gets it. */
export interface AnsweredValue extends FeatureValue {
  /** From the newest event to the read, in milliseconds; null without an event. */
  readonly ageMs: number | null;
}

export interface Asked {
  /** Read names, in the order of the answer. */
  readonly names: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** A value whose newest event is older is not served. */
  readonly maxAgeMs?: number | undefined;
  /** The names of features over columns. Their values hold until they change, so `maxAgeMs` is not about them. */
  readonly columns?: ReadonlySet<string>;
  readonly derived: readonly DerivedFeature[];
  /** The parsed fields of each derived feature that is asked for, by its name. */
  readonly requests: ReadonlyMap<string, unknown>;
}

/** The values of one key that are asked for. The request's limit of age applies beside each feature's own. */
export function answerOf(row: FeatureRow, asked: Asked) {
  const { names, now, maxAgeMs, columns, derived, requests } = asked;
  const limited = (name: string, read: FeatureValue) => {
    // A version is read under a name with its digits behind an "@".
    const isLimited = maxAgeMs !== undefined && columns?.has(name.split('@')[0] ?? name) !== true;
    return isLimited ? withinAge(read, maxAgeMs, now) : read;
  };
  const answer: Record<string, AnsweredValue> = {};
  for (const name of names) {
    const definition = derived.find((one) => one.name === name);
    const read =
      definition === undefined
        ? row[name] && limited(name, row[name])
        : derive(definition, row, requests.get(name), { now, limited });
    if (read === undefined) continue;
    const ageMs = read.eventAt === null ? null : Math.max(0, now - read.eventAt);
    answer[name] = { ...read, ageMs };
  }
  return answer;
}

/**
 * The value of a derived feature. It is as old as its oldest input. An input that is not ready or too old, or of which
 * all are missing, makes it so, too.
 */
function derive(
  { inputs, compute }: DerivedFeature,
  row: FeatureRow,
  request: unknown,
  {
    now,
    limited,
  }: { readonly now: number; readonly limited: (name: string, read: FeatureValue) => FeatureValue },
): FeatureValue {
  const references = Object.entries(inputs);
  const reads = references.flatMap(([, { readName }]) => {
    const read = row[readName];
    return read === undefined ? [] : limited(readName, read);
  });
  const times = reads.flatMap(({ eventAt }) => eventAt ?? []);
  const eventAt = times.length === 0 ? null : Math.min(...times);
  if (reads.some(({ status }) => status === 'NOT_READY'))
    return { value: null, status: 'NOT_READY', eventAt: null };
  if (reads.some(({ status }) => status === 'OUTSIDE_MAX_AGE'))
    return { value: null, status: 'OUTSIDE_MAX_AGE', eventAt };
  if (reads.every(({ status }) => status === 'NOT_FOUND'))
    return { value: null, status: 'NOT_FOUND', eventAt: null };
  const values = Object.fromEntries(
    references.map(([name, { readName, read }]) => [name, read(row[readName]?.value, now)]),
  );
  const value = compute(values, request);
  const isPresent = value !== null && !(typeof value === 'number' && !Number.isFinite(value));
  return { value: isPresent ? value : null, status: isPresent ? 'PRESENT' : 'NULL_VALUE', eventAt };
}

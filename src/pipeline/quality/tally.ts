import * as z from 'zod';
import { QUALITY_DIMENSIONS } from '../../define/quality.ts';

/** The most rules of a type, including other reasons for which its events were refused. */
const TALLY_RULES_MAX = 64;
/** The most bins of a distribution, including those of an older catalog. */
const TALLY_BINS_MAX = 64;
/** The most event types of one batch. */
const BATCH_TYPES_MAX = 200;

const Name = z.string().min(1).max(256);
const Count = z.int().nonnegative();
const atMost = <Value>(record: Readonly<Record<string, Value>>, most: number) =>
  Object.keys(record).length <= most;

/** How often a rule was judged, and how often it was broken. */
export const RuleTally = z
  .object({ dimension: z.enum(QUALITY_DIMENSIONS), judged: Count, failed: Count })
  .refine(
    ({ judged, failed }) => failed <= judged,
    'A rule cannot have failed more often than it was judged.',
  );
export type RuleTally = z.output<typeof RuleTally>;

/** The counts of one event type: events, rules by name, and each distribution's values by bin. */
export const Tally = z.object({
  events: Count,
  /** The events that went to quarantine. */
  refused: Count,
  rules: z.record(Name, RuleTally).refine((rules) => atMost(rules, TALLY_RULES_MAX)),
  bins: z
    .record(
      Name,
      z.record(Name, Count).refine((bins) => atMost(bins, TALLY_BINS_MAX)),
    )
    .refine((rules) => atMost(rules, TALLY_RULES_MAX)),
});
export type Tally = z.output<typeof Tally>;

/** Tallies by event type. */
export type Tallies = Readonly<Record<string, Tally>>;

/** The counts of one transaction. By `id`, a batch that is sent again is recognised. */
export const ScoreBatch = z.object({
  id: z.uuid(),
  /** The time of the transaction, milliseconds since the Unix epoch. */
  atMs: z.int().nonnegative(),
  types: z.record(Name, Tally).refine((types) => atMost(types, BATCH_TYPES_MAX)),
});
export type ScoreBatch = z.output<typeof ScoreBatch>;

export const EMPTY_TALLY: Tally = { events: 0, refused: 0, rules: {}, bins: {} };

/** The sum of two tallies of one type. Rules and bins beyond their limits are left out, the newer first. */
export function addTallies(a: Tally, b: Tally): Tally {
  return {
    events: a.events + b.events,
    refused: a.refused + b.refused,
    rules: merged(a.rules, b.rules, TALLY_RULES_MAX, (one, other) => ({
      dimension: other.dimension,
      judged: one.judged + other.judged,
      failed: one.failed + other.failed,
    })),
    bins: merged(a.bins, b.bins, TALLY_RULES_MAX, (one, other) =>
      merged(one, other, TALLY_BINS_MAX, (x, y) => x + y),
    ),
  };
}

function merged<Value>(
  a: Readonly<Record<string, Value>>,
  b: Readonly<Record<string, Value>>,
  most: number,
  add: (a: Value, b: Value) => Value,
): Record<string, Value> {
  const sum = new Map(Object.entries(a));
  for (const [name, value] of Object.entries(b)) {
    const known = sum.get(name);
    if (known !== undefined) sum.set(name, add(known, value));
    else if (sum.size < most) sum.set(name, value);
  }
  return Object.fromEntries(sum);
}

/** The sum of several tallies, by type. */
export function addUp(rows: readonly { readonly type: string; readonly tally: Tallies[string] }[]): Tallies {
  const sum = new Map<string, Tallies[string]>();
  for (const { type, tally } of rows) sum.set(type, addTallies(sum.get(type) ?? EMPTY_TALLY, tally));
  return Object.fromEntries(sum);
}

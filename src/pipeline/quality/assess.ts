import type { EventDefinition } from '../../define/event.ts';
import type { QualityDimension, RuleDeclaration } from '../../define/quality.ts';
import { STORAGE_REFUSED } from '../transactions.ts';
import type { Tallies, Tally } from './tally.ts';

/** The parts of a stored event that its score needs. */
export interface StoredForScore {
  readonly type: string;
  /** RFC 3339. */
  readonly time: string;
  readonly data: unknown;
}

/** The parts of a refused event that its score needs. */
export interface RefusedForScore {
  readonly type: string | null;
  readonly reason: string;
  readonly raw: unknown;
}

/** The type under which events of no declared type are counted. */
export const UNRECOGNISED = '(unrecognised)';

type BuiltIn = 'contract_violation' | 'conflicting_duplicate' | 'not_storable' | typeof STORAGE_REFUSED;

/** Rules that every type has: the reasons for a refusal besides the type's own rules. */
export const BUILT_IN_RULES: readonly (RuleDeclaration & { readonly name: BuiltIn })[] = [
  {
    name: 'contract_violation',
    dimension: 'validity',
    mode: 'blocking',
    pointer: '/data',
    detail: 'The data breaks the contract of its type.',
  },
  {
    name: 'conflicting_duplicate',
    dimension: 'uniqueness',
    mode: 'blocking',
    pointer: '/id',
    detail: 'Another event has this source and id, and other content.',
  },
  {
    name: 'not_storable',
    dimension: 'validity',
    mode: 'blocking',
    pointer: '/data',
    detail: 'The data contains a value that no database column can hold.',
  },
  {
    name: STORAGE_REFUSED,
    dimension: 'validity',
    mode: 'blocking',
    pointer: '/data',
    detail: 'The database refuses the event.',
  },
];

interface Counting {
  events: number;
  refused: number;
  readonly rules: Map<string, { readonly dimension: QualityDimension; judged: number; failed: number }>;
  readonly bins: Map<string, Map<string, number>>;
}

/**
 * Applies the rules that need only the event, and counts the results and the bins of the distributions. Blocking rules
 * are applied like the others, so that their score covers all events and not only those that broke them. A refused event
 * fails the rule that refused it. The other rules judge it, too, unless it broke its contract. Earlier versions of a type
 * count for the current one, as which they are stored.
 *
 * @param storedAt when the events were stored or put into quarantine, milliseconds since the Unix epoch. `freshness`
 *   uses it as their arrival, because no reader can see them earlier.
 */
export function tallyEvents(
  types: ReadonlyMap<string, EventDefinition>,
  stored: readonly StoredForScore[],
  refused: readonly RefusedForScore[],
  storedAt: number,
): Tallies {
  const countings = new Map<string, Counting>();
  for (const { type, time, data } of stored) {
    const definition = types.get(type);
    const counting = countingOf(countings, definition?.currentType ?? UNRECOGNISED);
    const occurredAt = Date.parse(time);
    if (definition !== undefined) count(counting, definition, data, { occurredAt, now: storedAt }, undefined);
  }
  for (const { type, reason, raw } of refused) {
    const definition = type === null ? undefined : types.get(type);
    const counting = countingOf(countings, definition?.currentType ?? UNRECOGNISED);
    counting.refused += 1;
    if (definition === undefined) add(counting, { name: reason, dimension: 'validity' }, false);
    else {
      const occurredAt = timeOf(raw) ?? storedAt;
      count(counting, definition, dataOf(raw), { occurredAt, now: storedAt }, reason);
    }
  }
  return Object.fromEntries([...countings].map(([type, counting]) => [type, tallyOf(counting)]));
}

function count(
  counting: Counting,
  { quality }: EventDefinition,
  data: unknown,
  context: { readonly occurredAt: number; readonly now: number },
  reason: string | undefined,
): void {
  const assessment = reason === 'contract_violation' ? null : quality.assess(data, context);
  for (const rule of BUILT_IN_RULES) {
    if (assessment !== null || rule.name === reason) add(counting, rule, rule.name !== reason);
  }
  quality.eventRules.forEach((rule, index) => {
    const held = rule.name === reason ? false : (assessment?.held[index] ?? null);
    if (held !== null) add(counting, rule, held);
  });
  // The reason of the refusal is not a rule of the type, for example a broken envelope.
  if (reason !== undefined && ![...BUILT_IN_RULES, ...quality.eventRules].some(({ name }) => name === reason))
    add(counting, { name: reason, dimension: 'validity' }, false);
  quality.distributions.forEach(({ name, bins }, index) => {
    const label = bins[assessment?.bins[index] ?? -1];
    if (label === undefined) return;
    const spread = counting.bins.get(name) ?? new Map<string, number>();
    if (spread.size === 0) counting.bins.set(name, spread);
    spread.set(label, (spread.get(label) ?? 0) + 1);
  });
}

function countingOf(countings: Map<string, Counting>, type: string): Counting {
  const counting = countings.get(type) ?? { events: 0, refused: 0, rules: new Map(), bins: new Map() };
  counting.events += 1;
  countings.set(type, counting);
  return counting;
}

function add(
  { rules }: Counting,
  { name, dimension }: Pick<RuleDeclaration, 'name' | 'dimension'>,
  held: boolean,
): void {
  const rule = rules.get(name) ?? { dimension, judged: 0, failed: 0 };
  if (rule.judged === 0) rules.set(name, rule);
  rule.judged += 1;
  if (!held) rule.failed += 1;
}

function tallyOf({ events, refused, rules, bins }: Counting): Tally {
  return {
    events,
    refused,
    rules: Object.fromEntries(rules),
    bins: Object.fromEntries([...bins].map(([rule, spread]) => [rule, Object.fromEntries(spread)])),
  };
}

function dataOf(raw: unknown): unknown {
  return typeof raw === 'object' && raw !== null && 'data' in raw ? raw.data : undefined;
}

function timeOf(raw: unknown): number | undefined {
  const time = typeof raw === 'object' && raw !== null && 'time' in raw ? raw.time : undefined;
  const parsed = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}

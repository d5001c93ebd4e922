import type { EventDefinition } from '../../define/event.ts';
import type { RuleDeclaration } from '../../define/quality.ts';
import { STORAGE_REFUSED } from '../transactions.ts';
import type { RuleTally, Tallies, Tally } from './tally.ts';

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

type Quality = EventDefinition['quality'];
type Named = Pick<RuleDeclaration, 'name' | 'dimension'>;

interface Counting {
  events: number;
  refused: number;
  /** Counts by the position of a rule, for each version of the type: looking rules up by name took most of the time. */
  readonly versions: Map<Quality, Positions>;
  /** Reasons that are no rule of the type, for example a broken envelope, and how many events they refused. */
  readonly others: Map<string, number>;
}

/** Counts of one version of a type: its own rules and distributions, in the order of their declaration. */
interface Positions {
  /** Events that all built-in rules judged and found right. */
  sound: number;
  /** Events that each built-in rule judged beyond `sound`, and those that broke it. */
  readonly builtIn: RuleCounts;
  readonly rules: RuleCounts;
  readonly bins: readonly number[][];
}

interface RuleCounts {
  readonly judged: number[];
  readonly failed: number[];
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
    if (definition === undefined) countOther(counting, reason);
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
  const { eventRules, distributions } = quality;
  const assessment = reason === 'contract_violation' ? null : quality.assess(data, context);
  const positions = positionsOf(counting, quality);
  if (reason === undefined) positions.sound += 1;
  else countReason(counting, positions, quality, reason, assessment !== null);
  const { judged, failed } = positions.rules;
  for (let index = 0; index < eventRules.length; index += 1) {
    const held = eventRules[index]?.name === reason ? false : (assessment?.held[index] ?? null);
    if (held !== null) increment(judged, index);
    if (held === false) increment(failed, index);
  }
  if (assessment === null) return;
  for (let index = 0; index < distributions.length; index += 1) {
    const spread = positions.bins[index];
    const bin = assessment.bins[index] ?? -1;
    if (spread !== undefined && bin >= 0) increment(spread, bin);
  }
}

/** The built-in rules of a refused event. An event that broke its contract was judged by nothing else. */
function countReason(
  counting: Counting,
  { builtIn }: Positions,
  { eventRules }: Quality,
  reason: string,
  isAssessed: boolean,
): void {
  BUILT_IN_RULES.forEach(({ name }, index) => {
    if (isAssessed || name === reason) increment(builtIn.judged, index);
    if (name === reason) increment(builtIn.failed, index);
  });
  if (![...BUILT_IN_RULES, ...eventRules].some(({ name }) => name === reason)) countOther(counting, reason);
}

function countOther({ others }: Counting, reason: string): void {
  others.set(reason, (others.get(reason) ?? 0) + 1);
}

function increment(counts: number[], index: number): void {
  counts[index] = (counts[index] ?? 0) + 1;
}

function countingOf(countings: Map<string, Counting>, type: string): Counting {
  const counting = countings.get(type) ?? { events: 0, refused: 0, versions: new Map(), others: new Map() };
  counting.events += 1;
  countings.set(type, counting);
  return counting;
}

function positionsOf({ versions }: Counting, quality: Quality): Positions {
  const known = versions.get(quality);
  if (known !== undefined) return known;
  const zeros = (rules: readonly unknown[]) => ({ judged: rules.map(() => 0), failed: rules.map(() => 0) });
  const positions = {
    sound: 0,
    builtIn: zeros(BUILT_IN_RULES),
    rules: zeros(quality.eventRules),
    bins: quality.distributions.map(({ bins }) => bins.map(() => 0)),
  };
  versions.set(quality, positions);
  return positions;
}

function tallyOf({ events, refused, versions, others }: Counting): Tally {
  const rules = new Map<string, RuleTally>();
  const bins = new Map<string, Map<string, number>>();
  const add = ({ name, dimension }: Named, judged: number, failed: number) => {
    const rule = rules.get(name) ?? { dimension, judged: 0, failed: 0 };
    if (judged > 0) rules.set(name, { ...rule, judged: rule.judged + judged, failed: rule.failed + failed });
  };
  const addBin = (name: string, label: string, counted: number) => {
    if (counted === 0) return;
    const spread = bins.get(name) ?? new Map<string, number>();
    bins.set(name, spread.set(label, (spread.get(label) ?? 0) + counted));
  };
  for (const [{ eventRules, distributions }, { sound, builtIn, rules: own, bins: counted }] of versions) {
    for (const [at, rule] of BUILT_IN_RULES.entries())
      add(rule, sound + (builtIn.judged[at] ?? 0), builtIn.failed[at] ?? 0);
    for (const [at, rule] of eventRules.entries()) add(rule, own.judged[at] ?? 0, own.failed[at] ?? 0);
    for (const [at, { name, bins: labels }] of distributions.entries())
      for (const [bin, label] of labels.entries()) addBin(name, label, counted[at]?.[bin] ?? 0);
  }
  for (const [name, refusals] of others) add({ name, dimension: 'validity' }, refusals, refusals);
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

import type { PhaseName } from '../../platform/phases.ts';
import type { Known } from './evidence.ts';

export const GATE_NAMES = [
  'pipeline_85',
  'data_model',
  'event_schemas',
  'api_inventory',
  'baselines',
  'pipeline_100',
  'hit_ratio',
  'cache_uptime',
  'feature_store',
  'quality',
  'streaming',
  'history',
] as const;
export type GateName = (typeof GATE_NAMES)[number];

/** The phases that gates guard: each is built on the phase before it. */
export type GuardedPhase = Exclude<PhaseName, 'pipeline'>;

/** One thing that was looked at. `holds` is null where it is not known. */
export interface Fact {
  readonly fact: string;
  readonly holds: boolean | null;
  readonly detail: string;
}

type Figures = Readonly<Record<string, number | string | null>>;

/** A gate with its verdict, and all that the verdict follows from. */
export interface GateVerdict {
  readonly gate: GateName;
  /** The phase that this gate guards. */
  readonly phase: GuardedPhase;
  readonly statement: string;
  /** Null if the evidence does not suffice for a verdict. Such a gate is not open. */
  readonly holds: boolean | null;
  /** By name; null for a figure that is not known. */
  readonly measured: Figures;
  /** What the figures are compared with. */
  readonly required: Figures;
  readonly evidence: readonly Fact[];
  /** Why it does not hold, or is not known; null if it holds. */
  readonly reason: string | null;
}

/** The part of a verdict that a rule finds. */
export interface Found {
  readonly holds: boolean | null;
  readonly measured: Figures;
  readonly required: Figures;
  readonly evidence: readonly Fact[];
  readonly reason: string | null;
}

/** False if some fact is against it; else null if some is not known. */
export function allHold(facts: readonly Pick<Fact, 'holds'>[]): boolean | null {
  if (facts.some(({ holds }) => holds === false)) return false;
  return facts.every(({ holds }) => holds === true) ? true : null;
}

/** The facts that do not hold, or are not known, in a sentence; null if there are none. */
export function reasonFrom(facts: readonly Fact[]): string | null {
  const closed = facts.filter(({ holds }) => holds !== true);
  if (closed.length === 0) return null;
  return closed
    .map(
      ({ fact, holds, detail }) => `${holds === null ? 'not known' : 'does not hold'}: ${fact} (${detail})`,
    )
    .join('; ');
}

/** What a rule finds from facts alone. */
export function foundFrom(facts: readonly Fact[], measured: Figures, required: Figures): Found {
  return { holds: allHold(facts), measured, required, evidence: facts, reason: reasonFrom(facts) };
}

/** What `judge` says of a value; a fact that is not known holds neither way. */
export function factOf<T>(fact: string, known: Known<T>, judge: (value: T) => Omit<Fact, 'fact'>): Fact {
  return 'unknown' in known ? { fact, holds: null, detail: known.unknown } : { fact, ...judge(known.value) };
}

/** What `judge` finds in a value that may not be known. */
export function foundIn<T>(known: Known<T>, required: Figures, judge: (value: T) => Found): Found {
  if (!('unknown' in known)) return judge(known.value);
  return { holds: null, measured: {}, required, evidence: [], reason: known.unknown };
}

import type { Random } from '../random.ts';

/**
 * Samplers by the names of `OTEL_TRACES_SAMPLER` (OpenTelemetry, "Environment Variable Specification"). `parentbased_…`
 * follows the decision of the caller, and decides about traces that begin here.
 */
export const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
export type SamplerName = (typeof SAMPLERS)[number];

/** The digits of an id that decide, from the end. A double holds their 52 bits; the specification uses 56. */
const DECIDING_DIGITS = 13;
const RANGE = 2 ** (4 * DECIDING_DIGITS);

/** Decides at the head of a trace whether it is recorded. */
export class Sampler {
  /** Whether the decision depends on the caller's context, so that its header has to be read. */
  readonly readsParent: boolean;
  /** The share of new traces that are recorded, 0 to 1. */
  readonly #share: number;
  /** Whether the caller's decision is followed. */
  readonly followsParent: boolean;

  /** @param ratio the share for the samplers whose name ends in `traceidratio`. */
  constructor(name: SamplerName, ratio: number) {
    this.followsParent = name.startsWith('parentbased_');
    this.readsParent = this.followsParent || name === 'traceidratio';
    this.#share = name.endsWith('always_on') ? 1 : name.endsWith('always_off') ? 0 : ratio;
  }

  /** The decision about a trace that a caller has begun. All services that decide by the id decide alike. */
  ofParent(traceId: string, isSampled: boolean): boolean {
    if (this.followsParent) return isSampled;
    return this.ofDraw(Number.parseInt(traceId.slice(-DECIDING_DIGITS), 16) / RANGE);
  }

  /** The decision about a new trace, before it has an id: a warm hit that is not recorded needs none. */
  ofDraw(draw: number): boolean {
    return draw >= 1 - this.#share;
  }
}

/** A trace id whose deciding digits are those of a draw in [0, 1). */
export function traceIdOf(draw: number, random: Random): string {
  const deciding = Math.floor(draw * RANGE)
    .toString(16)
    .padStart(DECIDING_DIGITS, '0');
  // The first digit is not 0, so the id is never the invalid one.
  return `${digit(random, 1)}${digits(random, 6)}${digits(random, 12)}${deciding}`;
}

/** A span id. Its first digit is not 0, so it is never the invalid one. */
export function newSpanId(random: Random): string {
  return `${digit(random, 1)}${digits(random, 7)}${digits(random, 8)}`;
}

function digit(random: Random, from: number): string {
  return Math.floor(from + random() * (16 - from)).toString(16);
}

function digits(random: Random, count: number): string {
  return Math.floor(random() * 16 ** count)
    .toString(16)
    .padStart(count, '0');
}

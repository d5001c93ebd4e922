import { type Clock, isValid } from '../clock/clock.ts';
import type { Entry } from '../entry.ts';
import { grainEndMs, timeToLiveMs } from '../freshness.ts';
import type { ReadRequest } from '../read-through.ts';

/** What has to be known of a request to make it again without its client: values only. */
export type Recipe = Pick<
  ReadRequest,
  'view' | 'key' | 'purgeKey' | 'policy' | 'input' | 'variant' | 'principal' | 'grainMs'
>;

export interface DemandSettings {
  /** After this long a read or an invalidation counts half, in milliseconds. */
  readonly halfLifeMs: number;
  /** The least probability of being read in time with which a key is worth a fill. */
  readonly useProbabilityMin: number;
  /** The most keys that are remembered. */
  readonly keysMax: number;
}

export const DEMAND_SETTINGS: DemandSettings = {
  // Tuned by `npm run bench:warming`, on the part of the trace before the one that is judged.
  halfLifeMs: 120 * 60_000,
  useProbabilityMin: 0.5,
  // Some 2 MB of an isolate, and less than a millisecond to look through.
  keysMax: 4_096,
};

export interface Candidate {
  readonly recipe: Recipe;
  /** The probability that the fill is read before it dies. */
  readonly useProbability: number;
  /** `useProbability` times the milliseconds of the origin that a reader then does not wait for. */
  readonly score: number;
}

/**
 * What a model that has just begun takes its counts to be counts of at least, in milliseconds: twice the usual time
 * to live, so that one read alone makes no key expected.
 */
const WINDOW_MS_MIN = 10 * 60_000;
/** Counts are not decayed for less than this, in milliseconds: it changes them by a ten-thousandth. */
const DECAY_STEP_MS = 1_000;
/** How many of the oldest keys are looked at when one has to go. */
const EVICTION_SAMPLE = 8;

/** What is known of one key; the counts are as of `countedAtMs` and decay from there. */
interface Tracked {
  readonly recipe: Recipe;
  reads: number;
  invalidations: number;
  countedAtMs: number;
  /** The fill that was answered with last, as far as it takes to judge it. */
  fill: Pick<Entry, 'slots' | 'epoch' | 'stamp' | 'filledAt'>;
  expiresAtMs: number;
  fillMs: number;
  /** The fill's invalidation has been counted. */
  isCounted: boolean;
  /** The fill was made ahead and nobody has read it yet. */
  isUnreadWarm: boolean;
}

/**
 * Which keys are expected to be asked for next, from the requests that were answered here.
 *
 * For each key two rates are kept as exponentially decayed counts of half-life H: λ of its reads and μ of its
 * invalidations. A count is divided by what the same decay makes of the time since the model began, which is
 * H / ln 2 in the long run. With both as Poisson processes, a fill that lives for T at most is read
 * before it dies with the probability
 *
 *     P = λ / (λ + μ) * (1 - exp(-(λ + μ) * T))
 *
 * and saves its reader the time of the fill: a key's score is P times `fillMs`. Keys that are seldom read, or
 * invalidated faster than they are read, are not worth a fill however popular they were once.
 */
export class DemandModel {
  readonly #settings: DemandSettings;
  readonly #keys = new Map<string, Tracked>();
  #beganAtMs = Number.NaN;

  constructor(settings: DemandSettings = DEMAND_SETTINGS) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#keys.size;
  }

  /**
   * Counts one answered request.
   *
   * @returns whether it was the first to read a warm.
   */
  answered(recipe: Recipe, entry: Entry, nowMs: number): boolean {
    const known = this.#keys.get(recipe.key);
    if (known === undefined) {
      if (this.#keys.size === 0) this.#beganAtMs = nowMs;
      this.#admit(recipe, entry, nowMs);
      return false;
    }
    this.#decay(known, nowMs);
    known.reads += 1;
    if (known.fill.filledAt !== entry.filledAt || known.fill.stamp !== entry.stamp) {
      // A fill that was replaced before its time had been invalidated, though no look at the clock saw it.
      if (!known.isCounted && nowMs < known.expiresAtMs) known.invalidations += 1;
      takeFill(known, entry);
      return false;
    }
    const isFirstOfWarm = known.isUnreadWarm;
    known.isUnreadWarm = false;
    return isFirstOfWarm;
  }

  /**
   * Remembers what a key holds now, though nobody has asked for it.
   *
   * @param isWarm whether the origin was read for it.
   */
  refilled(key: string, entry: Entry, isWarm: boolean): void {
    const known = this.#keys.get(key);
    if (known === undefined) return;
    takeFill(known, entry);
    known.isUnreadWarm = isWarm;
  }

  /** The keys that are void by the clock or have expired, and are worth a fill: best first, `max` at most. */
  candidates(clock: Clock, nowMs: number, max: number): Candidate[] {
    const found: Candidate[] = [];
    for (const tracked of this.#keys.values()) {
      if (!this.#isDead(tracked, clock, nowMs)) continue;
      const candidate = this.#candidate(tracked, nowMs);
      if (candidate.useProbability >= this.#settings.useProbabilityMin) found.push(candidate);
    }
    return found.sort((a, b) => b.score - a.score).slice(0, max);
  }

  #isDead(tracked: Tracked, clock: Clock, nowMs: number): boolean {
    const { fill } = tracked;
    if (isValid(clock, fill, fill.slots)) return nowMs >= tracked.expiresAtMs;
    if (!tracked.isCounted) {
      this.#decay(tracked, nowMs);
      // A clock that was made anew says nothing about how often this key changes.
      if (fill.epoch === clock.epoch) tracked.invalidations += 1;
      tracked.isCounted = true;
    }
    return true;
  }

  #candidate({ recipe, reads, invalidations, countedAtMs, fillMs }: Tracked, nowMs: number): Candidate {
    const lifeMs = Math.min(recipe.policy.ttlS * 1_000, recipe.grainMs ?? Number.POSITIVE_INFINITY);
    const perMs = this.#decayFactor(nowMs - countedAtMs) / this.#windowMs(nowMs);
    const useProbability = probabilityOfUse(reads * perMs, invalidations * perMs, lifeMs);
    return { recipe, useProbability, score: useProbability * Math.max(1, fillMs) };
  }

  #admit(recipe: Recipe, entry: Entry, nowMs: number): void {
    if (this.#keys.size >= this.#settings.keysMax) this.#evictOne(nowMs);
    const tracked: Tracked = {
      recipe: valuesOf(recipe),
      reads: 1,
      invalidations: 0,
      countedAtMs: nowMs,
      fill: { slots: entry.slots, epoch: entry.epoch, stamp: entry.stamp, filledAt: entry.filledAt },
      expiresAtMs: 0,
      fillMs: 0,
      isCounted: false,
      isUnreadWarm: false,
    };
    takeFill(tracked, entry);
    this.#keys.set(recipe.key, tracked);
  }

  /** Drops the least read of the oldest few; the others of them get another round. */
  #evictOne(nowMs: number): void {
    const oldest: [string, Tracked][] = [];
    for (const known of this.#keys) {
      oldest.push(known);
      if (oldest.length === EVICTION_SAMPLE) break;
    }
    for (const [, tracked] of oldest) this.#decay(tracked, nowMs);
    const reads = oldest.map(([, tracked]) => tracked.reads);
    const leastAt = reads.indexOf(Math.min(...reads));
    for (const [index, [key, tracked]] of oldest.entries()) {
      this.#keys.delete(key);
      if (index !== leastAt) this.#keys.set(key, tracked);
    }
  }

  #decay(tracked: Tracked, nowMs: number): void {
    if (nowMs - tracked.countedAtMs < DECAY_STEP_MS) return;
    const factor = this.#decayFactor(nowMs - tracked.countedAtMs);
    tracked.reads *= factor;
    tracked.invalidations *= factor;
    tracked.countedAtMs = nowMs;
  }

  /** What the decayed counts are counts of: H / ln 2 in the long run, and what there has been of it until then. */
  #windowMs(nowMs: number): number {
    const grown = 1 - this.#decayFactor(nowMs - this.#beganAtMs);
    return Math.max(WINDOW_MS_MIN, (this.#settings.halfLifeMs / Math.LN2) * grown);
  }

  #decayFactor(elapsedMs: number): number {
    return elapsedMs <= 0 ? 1 : 2 ** (-elapsedMs / this.#settings.halfLifeMs);
  }
}

/** P of `DemandModel`: reads and invalidations at these rates a millisecond, and a life of `ttlMs` at most. */
export function probabilityOfUse(readsPerMs: number, invalidationsPerMs: number, ttlMs: number): number {
  const anyPerMs = readsPerMs + invalidationsPerMs;
  if (anyPerMs <= 0) return 0;
  return (readsPerMs / anyPerMs) * -Math.expm1(-anyPerMs * ttlMs);
}

/** What is given may be a whole request, which must not be kept. */
function valuesOf(recipe: Recipe): Recipe {
  const { view, key, purgeKey = key, policy, input, variant = {}, principal, grainMs } = recipe;
  return { view, key, purgeKey, policy, input, variant, principal, grainMs };
}

function takeFill(tracked: Tracked, entry: Entry): void {
  const { slots, epoch, stamp, filledAt, fillMs = 0 } = entry;
  tracked.fill = { slots, epoch, stamp, filledAt };
  const { policy, key, grainMs } = tracked.recipe;
  tracked.expiresAtMs = Math.min(filledAt + timeToLiveMs(policy, key, entry), grainEndMs(grainMs, entry));
  tracked.fillMs = fillMs;
  tracked.isCounted = false;
  tracked.isUnreadWarm = false;
}

import { type Clock, isValid } from '../clock/clock.ts';
import type { Entry } from '../entry.ts';
import { grainEndMs, timeToLiveMs } from '../freshness.ts';
import type { ReadRequest } from '../read-through.ts';

/** The values of a request that are needed to repeat it without its client. */
export type Recipe = Pick<
  ReadRequest,
  'view' | 'key' | 'purgeKey' | 'policy' | 'input' | 'variant' | 'principal' | 'owner' | 'grainMs'
>;

export interface DemandSettings {
  /** Half-life of a counted read or invalidation, in milliseconds. */
  readonly halfLifeMs: number;
  /** A key is worth a fill only if the fill is read in time with at least this probability. */
  readonly useProbabilityMin: number;
  /** The most keys that are tracked. */
  readonly keysMax: number;
}

export const DEMAND_SETTINGS: DemandSettings = {
  // Tuned by `npm run bench:warming` on the part of the trace before the judged one.
  halfLifeMs: 120 * 60_000,
  useProbabilityMin: 0.5,
  // About 2 MB of an isolate's memory, and less than a millisecond to scan.
  keysMax: 4_096,
};

export interface Candidate {
  readonly recipe: Recipe;
  /** The probability that the fill is read before it is invalidated or expires. */
  readonly useProbability: number;
  /** `useProbability` times the origin's time that the reader saves, in milliseconds. */
  readonly score: number;
}

/**
 * Shortest period that a new model divides its counts by, in milliseconds: twice the usual time to live, so that a
 * single read makes no key a candidate.
 */
const WINDOW_MS_MIN = 10 * 60_000;
/** Shortest interval after which counts are decayed, in milliseconds: within it they change by a ten-thousandth. */
const DECAY_STEP_MS = 1_000;
/** How many of the oldest keys are compared when one has to be evicted. */
const EVICTION_SAMPLE = 8;

/** State of one key. The counts are as of `countedAtMs` and decay from there. */
interface Tracked {
  readonly recipe: Recipe;
  reads: number;
  invalidations: number;
  countedAtMs: number;
  /** The fill that was last served, with the fields that validate it. */
  fill: Pick<Entry, 'tagHashes' | 'epoch' | 'stamp' | 'filledAt'>;
  expiresAtMs: number;
  fillMs: number;
  /** True once the fill's invalidation has been counted. */
  isCounted: boolean;
  /** True while a warm fill has not been read. */
  isUnreadWarm: boolean;
}

/**
 * Predicts which keys are read next, from the requests that this isolate answers.
 *
 * Each key has two rates, kept as exponentially decayed counts of half-life H: λ of its reads and μ of its
 * invalidations. A count is divided by the integral of the same decay over the model's lifetime, which approaches
 * H / ln 2. If both are Poisson processes, a fill that lives for at most T is read before it becomes invalid with
 * the probability
 *
 *     P = λ / (λ + μ) * (1 - exp(-(λ + μ) * T))
 *
 * and saves its reader the time of the fill. A key's score is P times `fillMs`. A key that is read rarely, or
 * invalidated more often than it is read, is not worth a fill, however popular it was.
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
   * @returns true if this request is the first to read a warm fill.
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
      // A fill that was replaced before it expired must have been invalidated, even if no scan of the clock noticed.
      if (!known.isCounted && nowMs < known.expiresAtMs) known.invalidations += 1;
      takeFill(known, entry);
      return false;
    }
    const isFirstOfWarm = known.isUnreadWarm;
    known.isUnreadWarm = false;
    return isFirstOfWarm;
  }

  /**
   * Records the entry that a key has now, without counting a read.
   *
   * @param isWarm true if the origin was read for this entry.
   */
  refilled(key: string, entry: Entry, isWarm: boolean): void {
    const known = this.#keys.get(key);
    if (known === undefined) return;
    takeFill(known, entry);
    known.isUnreadWarm = isWarm;
  }

  /** The invalidated or expired keys that are worth a fill, best first, at most `max`. */
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
    if (isValid(clock, fill, fill.tagHashes)) return nowMs >= tracked.expiresAtMs;
    if (!tracked.isCounted) {
      this.#decay(tracked, nowMs);
      // A new epoch says nothing about how often this key changes.
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
      fill: { tagHashes: entry.tagHashes, epoch: entry.epoch, stamp: entry.stamp, filledAt: entry.filledAt },
      expiresAtMs: 0,
      fillMs: 0,
      isCounted: false,
      isUnreadWarm: false,
    };
    takeFill(tracked, entry);
    this.#keys.set(recipe.key, tracked);
  }

  /** Evicts the least read of the oldest few keys; the others move to the end of the queue. */
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

  /** The period that the decayed counts stand for: H / ln 2 in the long run, less while the model is young. */
  #windowMs(nowMs: number): number {
    const grown = 1 - this.#decayFactor(nowMs - this.#beganAtMs);
    return Math.max(WINDOW_MS_MIN, (this.#settings.halfLifeMs / Math.LN2) * grown);
  }

  #decayFactor(elapsedMs: number): number {
    return elapsedMs <= 0 ? 1 : 2 ** (-elapsedMs / this.#settings.halfLifeMs);
  }
}

/** P of `DemandModel` for rates per millisecond and a life of at most `ttlMs`. */
export function probabilityOfUse(readsPerMs: number, invalidationsPerMs: number, ttlMs: number): number {
  const anyPerMs = readsPerMs + invalidationsPerMs;
  if (anyPerMs <= 0) return 0;
  return (readsPerMs / anyPerMs) * -Math.expm1(-anyPerMs * ttlMs);
}

/** Copies the values: the argument may be a whole request, which must not be retained. */
function valuesOf(recipe: Recipe): Recipe {
  const { view, key, purgeKey = key, policy, input, variant = {}, principal, owner, grainMs } = recipe;
  return { view, key, purgeKey, policy, input, variant, principal, owner, grainMs };
}

function takeFill(tracked: Tracked, entry: Entry): void {
  const { tagHashes, epoch, stamp, filledAt, fillMs = 0 } = entry;
  tracked.fill = { tagHashes, epoch, stamp, filledAt };
  const { policy, key, grainMs } = tracked.recipe;
  tracked.expiresAtMs = Math.min(filledAt + timeToLiveMs(policy, key, entry), grainEndMs(grainMs, entry));
  tracked.fillMs = fillMs;
  tracked.isCounted = false;
  tracked.isUnreadWarm = false;
}

import type { Now } from '../../platform/clock.ts';
import { OPEN_CONNECTIONS_MAX, SUBREQUESTS_FREE_MAX } from '../../platform/limits.ts';
import { log } from '../../platform/logger.ts';
import type { CachedAnswer } from '../cached-answer.ts';
import type { Clock } from '../clock/clock.ts';
import { WarmingBudget } from './budget.ts';
import { DemandModel, type Recipe } from './demand.ts';

/** The most fills in flight: a third of the connections that a request may hold open. */
const FILLS_AT_ONCE = Math.floor(OPEN_CONNECTIONS_MAX / 3);
/** The most subrequests of one fill. */
const FILL_SUBREQUESTS_MAX = 8;
/** The most fills of one wave: they use at most two thirds of the subrequests of the request behind which they run. */
export const WAVE_FILLS_MAX = Math.floor((SUBREQUESTS_FREE_MAX * 2) / 3 / FILL_SUBREQUESTS_MAX);
/** Shortest pause between two scans of the model, in milliseconds. A scan takes up to a millisecond of CPU time. */
export const PAUSE_MS = 100;
/** A wave that runs longer than this, in milliseconds, counts as cancelled with its request. */
const WAVE_LEASE_MS = 30_000;

/** The parts of a request that a wave of fills uses. */
export interface WavePorts {
  /** Reads a key through the cache as a reader would: nearest tier first, then the origin in single flight. */
  readonly read: (recipe: Recipe) => Promise<CachedAnswer>;
  /** Keeps the wave alive after its request. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * Fills the keys that are expected next, after an invalidation and on a schedule, behind other answers. Each isolate
 * has one. It learns from the requests that the isolate answers, and retains values only.
 *
 * A fill is an ordinary read. If another isolate has filled the key already, the entry is only copied and costs no token.
 */
export class Warmer {
  readonly #clockOf: () => Clock;
  readonly #now: Now;
  readonly #model: DemandModel;
  readonly #budget: WarmingBudget;
  #isDue = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #isWaving = false;

  /** @param clockOf returns the isolate's present mirror of the clock. */
  constructor(
    clockOf: () => Clock,
    now: Now,
    model: DemandModel = new DemandModel(),
    budget: WarmingBudget = new WarmingBudget(),
  ) {
    this.#clockOf = clockOf;
    this.#now = now;
    this.#model = model;
    this.#budget = budget;
  }

  /** True if there may be keys to fill. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** Call this with every answer to a reader. */
  answered(recipe: Recipe, { entry, source, unverified }: CachedAnswer): void {
    // An unverified answer may not have been stored, and an answer that is not stored is not warm.
    if (unverified !== undefined || (!source.hit && !source.stored)) return;
    if (!source.hit && !source.collapsed) this.#budget.earn();
    if (this.#model.answered(recipe, entry, this.#now())) this.#budget.used();
  }

  /** Call this after the mirror has advanced, or after some time: entries may have become invalid. */
  moved(): void {
    this.#isDue = true;
  }

  /** Starts a wave if one is due and none is running. Call it behind answers until `isDue` is false. */
  refill({ read, keepAlive }: WavePorts): void {
    const nowMs = this.#now();
    const sinceMs = nowMs - this.#lookedAtMs;
    if (!this.#isDue || sinceMs < PAUSE_MS || (this.#isWaving && sinceMs < WAVE_LEASE_MS)) return;
    const max = Math.min(WAVE_FILLS_MAX, this.#budget.available(nowMs));
    if (max < 1) return;
    this.#lookedAtMs = nowMs;
    const expected = this.#model.candidates(this.#clockOf(), nowMs, max).map(({ recipe }) => recipe);
    this.#isDue = expected.length === max;
    if (expected.length === 0) return;
    this.#isWaving = true;
    const wave = this.#wave(expected, read).finally(() => {
      // A wave that was given up may end while the next one runs.
      if (this.#lookedAtMs === nowMs) this.#isWaving = false;
    });
    keepAlive(wave);
  }

  async #wave(expected: readonly Recipe[], read: WavePorts['read']): Promise<void> {
    const queue = expected.values();
    const fillNext = async (): Promise<void> => {
      for (const recipe of queue) {
        if (!this.#budget.take(this.#now()) || !(await this.#fill(recipe, read))) return;
      }
    };
    await Promise.all(Array.from({ length: FILLS_AT_ONCE }, fillNext));
  }

  /** @returns false to end the wave: if the origin or the clock fails, no further fill is tried. */
  async #fill(recipe: Recipe, read: WavePorts['read']): Promise<boolean> {
    try {
      const { entry, source, unverified } = await read(recipe);
      if (source.hit || source.collapsed) this.#budget.giveBack();
      if (unverified !== undefined) return false;
      const isWarm = !source.hit && source.stored && !source.collapsed;
      if (source.hit || source.stored) this.#model.refilled(recipe.key, entry, isWarm);
      return true;
    } catch (error) {
      log(
        'info',
        'A key could not be filled ahead; its next reader fills it.',
        { 'event.action': 'cache-warm' },
        error,
      );
      return false;
    }
  }
}

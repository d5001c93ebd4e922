import type { Now } from '../../platform/clock.ts';
import { OPEN_CONNECTIONS_MAX, SUBREQUESTS_FREE_MAX } from '../../platform/limits.ts';
import { log } from '../../platform/logger.ts';
import type { Clock } from '../clock/clock.ts';
import type { CachedAnswer } from '../read-through.ts';
import { WarmingBudget } from './budget.ts';
import { DemandModel, type Recipe } from './demand.ts';

/** Fills that are under way at a time: a third of the connections that a request may hold open. */
const FILLS_AT_ONCE = Math.floor(OPEN_CONNECTIONS_MAX / 3);
/** Subrequests of one fill at most. */
const FILL_SUBREQUESTS_MAX = 8;
/** Fills of one wave: they share the subrequests of the request that they run behind, and leave a third of them. */
export const WAVE_FILLS_MAX = Math.floor((SUBREQUESTS_FREE_MAX * 2) / 3 / FILL_SUBREQUESTS_MAX);
/** The shortest pause between two looks through the model, in milliseconds: each takes up to a millisecond of CPU. */
export const PAUSE_MS = 100;
/** A wave that has not come back after this long has died with its request. */
const WAVE_LEASE_MS = 30_000;

/** What a wave of fills needs of the request that it runs behind. */
export interface WavePorts {
  /** Reads a key through the cache, as any reader would: nearest tier first, then the origin in single flight. */
  readonly read: (recipe: Recipe) => Promise<CachedAnswer>;
  /** Lets the wave outlive its request. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * Fills the keys that are expected next, after an invalidation and on a schedule, behind the answers. One per
 * isolate: it learns from the requests that the isolate answers, and holds values only.
 *
 * A fill goes the way of any read, so what another isolate has filled already is only copied, and costs no token.
 */
export class Warmer {
  readonly #clockOf: () => Clock;
  readonly #now: Now;
  readonly #model: DemandModel;
  readonly #budget: WarmingBudget;
  #isDue = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #isWaving = false;

  /** @param clockOf the isolate's mirror of the clock, as of now. */
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

  /** Whether there may be something to fill. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** To be told of every answer that a reader was given. */
  answered(recipe: Recipe, { entry, source, unverified }: CachedAnswer): void {
    // What was answered in doubt may not have been stored, and what was not stored cannot be warm.
    if (unverified !== undefined || (!source.hit && !source.stored)) return;
    if (!source.hit && !source.collapsed) this.#budget.earn();
    if (this.#model.answered(recipe, entry, this.#now())) this.#budget.used();
  }

  /** To be told that the mirror has moved, or that time has passed: entries may have died. */
  moved(): void {
    this.#isDue = true;
  }

  /** Begins a wave if one is due and none is under way. To be called behind answers, until nothing is due. */
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
      // A wave that was given up for dead may come back while the next one runs.
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

  /** @returns whether to go on: an origin or a clock that fails is not asked again for what nobody waits for. */
  async #fill(recipe: Recipe, read: WavePorts['read']): Promise<boolean> {
    try {
      const { entry, source, unverified } = await read(recipe);
      if (source.hit || source.collapsed) this.#budget.giveBack();
      if (unverified !== undefined) return false;
      const isWarm = !source.hit && source.stored && !source.collapsed;
      if (source.hit || source.stored) this.#model.refilled(recipe.key, entry, isWarm);
      return true;
    } catch (error) {
      log('info', 'A key could not be filled ahead.', { 'event.action': 'cache-warm' }, error);
      return false;
    }
  }
}

import { type Clock, invalidate, isValid, newClock } from '../../../../src/cache/clock/clock.ts';
import type { Entry } from '../../../../src/cache/entry.ts';
import { decide, timeToLiveMs } from '../../../../src/cache/freshness.ts';
import { WARMING_LIMITS, WarmingBudget } from '../../../../src/cache/warming/budget.ts';
import { PAUSE_MS, WAVE_FILLS_MAX } from '../../../../src/cache/warming/warmer.ts';
import { createRandom } from '../../seed/random.ts';
import type { Page, Session, TraceEvent } from './trace.ts';

/** Every fill takes as long, so that policies differ only by the reads that they expect. */
const FILL_MS = 20;
/** As the cron of wrangler.toml. */
const CRON_MS = 60_000;
/** How often the replay looks for what has expired, in milliseconds. */
const EXPIRY_PASS_MS = 1_000;
const SEED = 1;

/** Which keys to fill ahead. A policy gets all events in the order of time, and none before its time. */
export interface Policy {
  answered(page: Page, entry: Entry, session: Session | undefined, nowMs: number): void;
  invalidated?(tags: readonly number[], nowMs: number): void;
  /** Up to `max` of the pages that are void or expired, best first. */
  choose(cache: CacheState, nowMs: number, max: number): Page[];
  warmed?(page: Page, entry: Entry): void;
  /** Whether a request alone, without an invalidation, is a reason to fill. */
  readonly onRequest?: boolean;
  /** The isolate has gone, and everything that it knew. */
  forget?(): void;
}

export interface CacheState {
  readonly clock: Clock;
  /** Whether something was invalidated, or the cron has come, since the policy was asked last. */
  readonly hasMoved: boolean;
  /** Pages that have been filled before and do not hold any more. */
  dead(nowMs: number): ReadonlySet<Page>;
  holds(page: Page, nowMs: number): boolean;
}

interface Held extends Entry {
  readonly expiresAtMs: number;
}

export interface Options {
  /** Measured from here on; what is before only fills the cache and teaches. */
  readonly judgeFromMs: number;
  readonly share: number;
  readonly burst?: number;
  readonly forgetEveryMs?: number;
}

export interface Outcome {
  reads: number;
  hits: number;
  demandFills: number;
  warms: number;
  used: number;
}

/** One isolate that serves all of the trace, with the rules of the cache as they are and a mirror that never lags. */
export function replay(events: readonly TraceEvent[], policy: Policy, options: Options): Outcome {
  const replaying = new Replay(policy, options);
  for (const event of events) replaying.step(event);
  return replaying.outcome;
}

class Replay implements CacheState {
  readonly clock = newClock('replay');
  readonly outcome: Outcome = { reads: 0, hits: 0, demandFills: 0, warms: 0, used: 0 };
  readonly #entries = new Map<Page, Held>();
  /** Warm fills that have not been read yet, and whether they are judged. */
  readonly #unread = new Map<Page, { entry: Entry; judged: boolean }>();
  readonly #random = createRandom(SEED);
  readonly #policy: Policy;
  readonly #options: Options;
  readonly #budget: WarmingBudget;
  hasMoved = false;
  readonly #pagesOf = new Map<number, Page[]>();
  readonly #dead = new Set<Page>();
  #expiredAtMs = 0;
  #lookedAtMs = 0;
  #nextCronMs = 0;
  #nextForgetMs = 0;

  constructor(policy: Policy, options: Options) {
    this.#policy = policy;
    this.#options = options;
    this.#budget = new WarmingBudget({
      ...WARMING_LIMITS,
      burst: options.burst ?? WARMING_LIMITS.burst,
      share: options.share,
    });
  }

  step({ atMs, page, session, tags }: TraceEvent): void {
    this.#forget(atMs);
    if (atMs >= this.#nextCronMs) {
      this.#nextCronMs = atMs + CRON_MS;
      this.hasMoved = true;
      this.#wave(atMs);
    }
    if (page === undefined) {
      this.#invalidate(tags);
      this.#policy.invalidated?.(tags, atMs);
      this.hasMoved = true;
      return;
    }
    this.#read(page, session, atMs);
    if (this.hasMoved || this.#policy.onRequest === true) this.#wave(atMs);
  }

  dead(nowMs: number): ReadonlySet<Page> {
    if (nowMs - this.#expiredAtMs >= EXPIRY_PASS_MS) {
      this.#expiredAtMs = nowMs;
      for (const [page, { expiresAtMs }] of this.#entries) if (expiresAtMs <= nowMs) this.#dead.add(page);
    }
    return this.#dead;
  }

  #invalidate(tags: readonly number[]): void {
    invalidate(this.clock, tags);
    for (const tag of tags) for (const page of this.#pagesOf.get(tag) ?? []) this.#dead.add(page);
  }

  holds(page: Page, nowMs: number): boolean {
    const entry = this.#entries.get(page);
    if (entry === undefined || !isValid(this.clock, entry, entry.tagHashes)) return false;
    return nowMs < entry.expiresAtMs;
  }

  #read(page: Page, session: Session | undefined, nowMs: number): void {
    const judged = nowMs >= this.#options.judgeFromMs;
    const { policy, key } = page.recipe;
    let entry = this.#entries.get(page);
    const tags = entry !== undefined && isValid(this.clock, entry, entry.tagHashes) ? 'valid' : 'invalidated';
    const decision =
      entry === undefined
        ? ({ serve: 'no', refresh: 'now' } as const)
        : decide({ policy, level: 'bounded', key, entry, tags }, nowMs, this.#random.fraction());
    const hit = decision.serve !== 'no';
    if (judged) this.outcome.reads += 1;
    if (hit && judged) this.outcome.hits += 1;
    if (hit && entry !== undefined) this.#readWarm(page, entry, judged);
    if (entry === undefined || decision.refresh !== 'none') {
      const answered = entry;
      entry = this.#fill(page, nowMs);
      this.#budget.earn();
      if (judged) this.outcome.demandFills += 1;
      // A refresh behind the answer changes what is held, not what was answered.
      if (hit && answered !== undefined) entry = answered;
    }
    this.#policy.answered(page, entry, session, nowMs);
  }

  #readWarm(page: Page, entry: Entry, judged: boolean): void {
    const warm = this.#unread.get(page);
    if (warm === undefined || warm.entry !== entry) return;
    this.#unread.delete(page);
    this.#budget.used();
    if (judged && warm.judged) this.outcome.used += 1;
  }

  #fill(page: Page, nowMs: number): Held {
    const { epoch, seq: stamp } = this.clock;
    const expiresAtMs =
      nowMs + timeToLiveMs(page.recipe.policy, page.recipe.key, { body: '{}', filledAt: nowMs });
    const entry: Held = {
      body: '{}',
      etag: '""',
      tagHashes: page.tags,
      epoch,
      stamp,
      filledAt: nowMs,
      fillMs: FILL_MS,
      expiresAtMs,
    };
    if (!this.#entries.has(page)) this.#index(page);
    this.#entries.set(page, entry);
    this.#dead.delete(page);
    this.#unread.delete(page);
    return entry;
  }

  #index(page: Page): void {
    for (const tag of page.tags) {
      const pages = this.#pagesOf.get(tag) ?? [];
      pages.push(page);
      this.#pagesOf.set(tag, pages);
    }
  }

  #wave(nowMs: number): void {
    const max = Math.min(WAVE_FILLS_MAX, this.#budget.available(nowMs));
    if (max < 1 || nowMs - this.#lookedAtMs < PAUSE_MS) return;
    this.#lookedAtMs = nowMs;
    const chosen = this.#policy.choose(this, nowMs, max);
    this.hasMoved = chosen.length === max;
    for (const page of chosen) {
      if (!this.#budget.take(nowMs)) break;
      const entry = this.#fill(page, nowMs);
      const judged = nowMs >= this.#options.judgeFromMs;
      this.#unread.set(page, { entry, judged });
      if (judged) this.outcome.warms += 1;
      this.#policy.warmed?.(page, entry);
    }
  }

  #forget(nowMs: number): void {
    const { forgetEveryMs } = this.#options;
    if (forgetEveryMs === undefined || nowMs < this.#nextForgetMs) return;
    this.#nextForgetMs = nowMs + forgetEveryMs;
    this.#policy.forget?.();
  }
}

import type { Entry } from '../../../../src/cache/entry.ts';
import { timeToLiveMs } from '../../../../src/cache/freshness.ts';
import { DEMAND_SETTINGS, DemandModel, type DemandSettings } from '../../../../src/cache/warming/demand.ts';
import type { CacheState, Policy } from './replay.ts';
import type { Page, Session, TraceEvent } from './trace.ts';

export class NoWarming implements Policy {
  answered(): void {}

  choose(): Page[] {
    return [];
  }
}

/** What was read last is filled first. */
export class LruOrder implements Policy {
  readonly #readAtMs = new Map<Page, number>();

  answered(page: Page, _entry: Entry, _session: Session | undefined, nowMs: number): void {
    this.#readAtMs.set(page, nowMs);
  }

  choose(cache: CacheState, nowMs: number, max: number): Page[] {
    return best(cache.dead(nowMs), (page) => this.#readAtMs.get(page) ?? 0, max);
  }
}

/** What was read most often since the beginning is filled first. */
export class Popularity implements Policy {
  readonly #reads = new Map<Page, number>();

  answered(page: Page): void {
    this.#reads.set(page, (this.#reads.get(page) ?? 0) + 1);
  }

  choose(cache: CacheState, nowMs: number, max: number): Page[] {
    return best(cache.dead(nowMs), (page) => this.#reads.get(page) ?? 0, max);
  }
}

/** Fills what will be read before it dies, the soonest first: no policy can know it. */
export class Oracle implements Policy {
  readonly #reads = new Map<Page, number[]>();
  readonly #invalidations = new Map<number, number[]>();

  constructor(events: readonly TraceEvent[]) {
    for (const { atMs, page, tags } of events) {
      if (page !== undefined) append(this.#reads, page, atMs);
      for (const tag of tags) append(this.#invalidations, tag, atMs);
    }
  }

  answered(): void {}

  choose(cache: CacheState, nowMs: number, max: number): Page[] {
    const inTime = [...cache.dead(nowMs)].filter((page) => {
      const readAt = nextAfter(this.#reads.get(page), nowMs);
      const entry = { body: '{}', filledAt: nowMs };
      const expiresAt = nowMs + timeToLiveMs(page.recipe.policy, page.recipe.key, entry);
      const diesAt = page.tags.map((tag) => nextAfter(this.#invalidations.get(tag), nowMs));
      return readAt < Math.min(expiresAt, ...diesAt);
    });
    return best(inTime, (page) => -nextAfter(this.#reads.get(page), nowMs), max);
  }
}

/** The model of the worker, as it is. */
export class Model implements Policy {
  readonly #settings: DemandSettings;
  readonly #pages = new Map<string, Page>();
  #model: DemandModel;

  constructor(settings: Partial<DemandSettings> = {}) {
    this.#settings = { ...DEMAND_SETTINGS, ...settings };
    this.#model = new DemandModel(this.#settings);
  }

  answered(page: Page, entry: Entry, _session: Session | undefined, nowMs: number): void {
    this.#pages.set(page.recipe.key, page);
    this.#model.answered(page.recipe, entry, nowMs);
  }

  choose(cache: CacheState, nowMs: number, max: number): Page[] {
    const chosen = this.#model.candidates(cache.clock, nowMs, max);
    return chosen.flatMap(({ recipe }) => this.#pages.get(recipe.key) ?? []);
  }

  warmed(page: Page, entry: Entry): void {
    this.#model.refilled(page.recipe.key, entry, true);
  }

  forget(): void {
    this.#model = new DemandModel(this.#settings);
  }
}

/** The pages with the highest scores. `max` is small: they are found in one pass. */
function best(pages: Iterable<Page>, scoreOf: (page: Page) => number, max: number): Page[] {
  const found: { page: Page; score: number }[] = [];
  for (const page of pages) {
    const score = scoreOf(page);
    if (found.length >= max && score <= (found.at(-1)?.score ?? 0)) continue;
    const at = found.findIndex((other) => other.score < score);
    found.splice(at < 0 ? found.length : at, 0, { page, score });
    if (found.length > max) found.pop();
  }
  return found.map(({ page }) => page);
}

function append<Key>(lists: Map<Key, number[]>, key: Key, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** The first of ascending times that is later, or infinity. */
function nextAfter(times: readonly number[] | undefined, nowMs: number): number {
  if (times === undefined) return Number.POSITIVE_INFINITY;
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? 0) > nowMs) high = middle;
    else low = middle + 1;
  }
  return times[low] ?? Number.POSITIVE_INFINITY;
}

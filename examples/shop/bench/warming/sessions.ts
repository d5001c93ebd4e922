import type { Entry } from '../../../../src/cache/entry.ts';
import { DEMAND_SETTINGS, DemandModel, type DemandSettings } from '../../../../src/cache/warming/demand.ts';
import type { CacheState, Policy } from './replay.ts';
import type { Invoice, Page, Session } from './trace.ts';

/** How long what a session has shown is taken as a sign of what it asks for next, in milliseconds. */
const EXPECTED_FOR_MS = 60_000;
/** Pages that are remembered as having followed one page. */
const SUCCESSORS_MAX = 8;
/** Times that a page has to have been read before its successors say anything. */
const SEEN_MIN = 5;

export interface Signs {
  /** After page A, page B is asked for in the same session. */
  readonly transitions: boolean;
  /** Pages that an answered list of recommendations names, for a customer. */
  readonly recommended: ((customer: string) => readonly Page[]) | undefined;
}

/**
 * The worker's model, and beside it what sessions show: whether it is worth having is what this is for. A sign
 * that a page is asked for with the probability p makes its probability of use 1 - (1 - P) * (1 - p).
 */
export class ModelWithSessions implements Policy {
  readonly onRequest = true;
  readonly #min: number;
  readonly #model: DemandModel;
  readonly #signs: Signs;
  readonly #pages = new Map<string, Page>();
  readonly #successors = new Map<Page, { seen: number; next: Map<Page, number> }>();
  readonly #lastOf = new Map<Session, Page>();
  #expected = new Map<Page, { probability: number; untilMs: number }>();
  /** Of the pages that recommendations named, how many the session asked for: learned as it goes. */
  #named = { all: 100, followed: 10 };
  readonly #namedIn = new Map<Session, Set<Page>>();

  constructor(signs: Signs, settings: Partial<DemandSettings> = {}) {
    const all = { ...DEMAND_SETTINGS, ...settings };
    this.#min = all.useProbabilityMin;
    this.#model = new DemandModel({ ...all, useProbabilityMin: 0 });
    this.#signs = signs;
  }

  answered(page: Page, entry: Entry, session: Session | undefined, nowMs: number): void {
    this.#pages.set(page.recipe.key, page);
    this.#model.answered(page.recipe, entry, nowMs);
    this.#expected.delete(page);
    if (session === undefined) return;
    if (this.#signs.transitions) this.#follow(page, session, nowMs);
    if (this.#namedIn.get(session)?.delete(page)) this.#named.followed += 1;
    const { customer } = session;
    if (page.recipe.view !== 'ranker' || customer === undefined) return;
    const named = this.#signs.recommended?.(customer) ?? [];
    this.#named.all += named.length;
    this.#namedIn.set(session, new Set(named));
    for (const next of named) this.#expect(next, this.#named.followed / this.#named.all, nowMs);
  }

  choose(cache: CacheState, nowMs: number, max: number): Page[] {
    const found = new Map<Page, number>();
    // The scan of all keys is for what the clock voided; signs alone need only the pages that they name.
    const lasting = cache.hasMoved ? this.#model.candidates(cache.clock, nowMs, Number.MAX_SAFE_INTEGER) : [];
    for (const { recipe, useProbability } of lasting) {
      const page = this.#pages.get(recipe.key);
      if (page !== undefined) found.set(page, useProbability);
    }
    for (const [page, { probability, untilMs }] of this.#expected) {
      if (untilMs < nowMs) this.#expected.delete(page);
      else if (!cache.holds(page, nowMs))
        found.set(page, 1 - (1 - (found.get(page) ?? 0)) * (1 - probability));
    }
    const chosen = [...found].filter(([, probability]) => probability >= this.#min);
    return chosen
      .sort((a, b) => b[1] - a[1])
      .slice(0, max)
      .map(([page]) => page);
  }

  warmed(page: Page, entry: Entry): void {
    this.#model.refilled(page.recipe.key, entry, true);
  }

  #follow(page: Page, session: Session, nowMs: number): void {
    const last = this.#lastOf.get(session);
    this.#lastOf.set(session, page);
    if (last !== undefined) {
      const { next } = this.#successorsOf(last);
      next.set(page, (next.get(page) ?? 0) + 1);
      if (next.size > SUCCESSORS_MAX) next.delete(rarest(next, page));
    }
    const known = this.#successorsOf(page);
    known.seen += 1;
    if (known.seen < SEEN_MIN) return;
    for (const [next, times] of known.next) this.#expect(next, times / known.seen, nowMs);
  }

  #successorsOf(page: Page) {
    const known = this.#successors.get(page) ?? { seen: 0, next: new Map<Page, number>() };
    this.#successors.set(page, known);
    return known;
  }

  #expect(page: Page, probability: number, nowMs: number): void {
    const known = this.#expected.get(page);
    const before = known === undefined || known.untilMs < nowMs ? 0 : known.probability;
    this.#expected.set(page, {
      probability: 1 - (1 - before) * (1 - probability),
      untilMs: nowMs + EXPECTED_FOR_MS,
    });
  }
}

function rarest(counts: ReadonlyMap<Page, number>, spared: Page): Page {
  const others = [...counts].filter(([page]) => page !== spared);
  return others.reduce((least, one) => (one[1] < least[1] ? one : least))[0];
}

/**
 * Ten products for a customer from the invoices of the training part: what they bought most often, then what is
 * bought most often by all customers.
 */
export function recommender(
  invoices: readonly Invoice[],
  productPage: (sku: string) => Page,
): (customer: string) => readonly Page[] {
  const own = new Map<string, Map<string, number>>();
  const all = new Map<string, number>();
  for (const { customer, skus } of invoices) {
    const mine = own.get(customer ?? '') ?? new Map<string, number>();
    own.set(customer ?? '', mine);
    for (const sku of skus) {
      mine.set(sku, (mine.get(sku) ?? 0) + 1);
      all.set(sku, (all.get(sku) ?? 0) + 1);
    }
  }
  const ranked = (counts: ReadonlyMap<string, number>) =>
    [...counts].sort((a, b) => b[1] - a[1]).map(([sku]) => sku);
  const popular = ranked(all).slice(0, 10);
  return (customer) => {
    const skus = new Set([...ranked(own.get(customer) ?? new Map()).slice(0, 10), ...popular]);
    return [...skus].slice(0, 10).map(productPage);
  };
}

/**
 * Read traffic made up around real purchases. What is real: every invoice line with its product, its customer
 * and its minute. What is made up, from the seed alone:
 *
 * - Each invoice with a customer is a session of up to ten minutes before it: the customer's page, their
 *   recommendations, then the pages of the invoice's products in the order of its lines. Without a customer there
 *   are the product pages alone.
 * - Visitors who buy nothing read product pages at moments within half an hour of the lines, so that day, week and
 *   season stay those of the shop. They choose by Zipf's law among the products of the month, in the order in
 *   which that month bought them.
 * - Exponent and amount are those of cluster 52 of Twitter's caches in March 2020 (Yang, Yue and Rashmi, "A large
 *   scale analysis of hundreds of in-memory cache clusters at Twitter", OSDI 2020), a store's cache: Zipf alpha
 *   1.2117; get and gets 0.93 of its operations, add and cas 0.06.
 * - The lines of an invoice invalidate when it is closed: the histories of its products and its customer, and the
 *   customer's features.
 */

import { cacheKey } from '../../../../src/cache/cache-key.ts';
import { tagHashes } from '../../../../src/cache/clock/tag-hash.ts';
import type { Recipe } from '../../../../src/cache/warming/demand.ts';
import { cachePolicy } from '../../../../src/define/cache-policy.ts';
import { inspectFile, readSource } from '../../import/source.ts';
import { createRandom, type Random } from '../../seed/random.ts';

const ZIPF_ALPHA = 1.2117;
const READS_PER_LINE = 0.93 / 0.06;
const SESSION_MS = 10 * 60_000;
const BACKGROUND_SPREAD_MS = 30 * 60_000;
/** Together; with 32 of these pages, each is invalidated four times as often as it is read. */
const HOT_READS_PER_INVOICE = 8;
const SEED = 52;

export interface Page {
  readonly recipe: Recipe;
  readonly tags: number[];
}

export interface Session {
  readonly customer: string | undefined;
}

/** A read of a page, or an invalidation where `page` is undefined. */
export interface TraceEvent {
  readonly atMs: number;
  readonly page: Page | undefined;
  readonly session: Session | undefined;
  readonly tags: readonly number[];
}

export interface Invoice {
  readonly atMs: number;
  readonly customer: string | undefined;
  readonly skus: readonly string[];
}

export interface Trace {
  readonly invoices: readonly Invoice[];
  /** In the order of time. */
  readonly events: readonly TraceEvent[];
  readonly productPage: (sku: string) => Page;
}

/** The invoices that events of the catalog would store: sales of known products at a price. */
export async function readInvoices(path: string): Promise<Invoice[]> {
  const invoices = new Map<string, { atMs: number; customer: string | undefined; skus: string[] }>();
  for await (const { lines } of readSource(await inspectFile(path))) {
    for (const { invoice, sku, quantity, unitPrice, occurredAt, customerId } of lines) {
      if (!(Number(quantity) > 0 && Number(unitPrice) > 0) || typeof occurredAt !== 'number') continue;
      const known = invoices.get(invoice);
      if (known === undefined)
        invoices.set(invoice, { atMs: occurredAt, customer: customerId ?? undefined, skus: [sku] });
      else known.skus.push(sku);
    }
  }
  return [...invoices.values()].sort((a, b) => a.atMs - b.atMs);
}

export interface TraceOptions {
  /** By how much faster than the shop's all of it happens: a larger shop with the same goods. */
  readonly speed: number;
  /** Beside the catalog's, pages that every invoice invalidates, such as sales totals of countries. */
  readonly hotPages: number;
}

export function makeTrace(invoices: readonly Invoice[], { speed, hotPages }: TraceOptions): Trace {
  const random = createRandom(SEED);
  const pages = new Pages();
  const events: TraceEvent[] = [];
  const draws = new Map([...byMonth(invoices)].map(([month, skus]) => [month, zipf(skus, random)]));
  let owed = 0;
  for (const invoice of invoices) {
    if (hotPages > 0) {
      const page = () => pages.hot(random.integer(1, hotPages));
      for (let read = 0; read < HOT_READS_PER_INVOICE; read += 1) {
        const atMs = invoice.atMs - random.fraction() * SESSION_MS;
        events.push({ atMs, page: page(), session: undefined, tags: [] });
      }
    }
    const session = sessionOf(invoice, pages, random);
    events.push(...session);
    const draw = draws.get(monthOf(invoice.atMs));
    owed += READS_PER_LINE * invoice.skus.length - session.length;
    for (; owed >= 1 && draw !== undefined; owed -= 1) {
      const atMs = invoice.atMs + (random.fraction() * 2 - 1) * BACKGROUND_SPREAD_MS;
      events.push({ atMs, page: pages.product(draw()), session: undefined, tags: [] });
    }
    events.push({ atMs: invoice.atMs, page: undefined, session: undefined, tags: invalidatedBy(invoice) });
  }
  const inOrder = events.sort((a, b) => a.atMs - b.atMs);
  const start = inOrder[0]?.atMs ?? 0;
  return {
    invoices: invoices.map((invoice) => ({ ...invoice, atMs: start + (invoice.atMs - start) / speed })),
    events: inOrder.map((event) => ({ ...event, atMs: start + (event.atMs - start) / speed })),
    productPage: (sku) => pages.product(sku),
  };
}

function sessionOf({ atMs, customer, skus }: Invoice, pages: Pages, random: Random): TraceEvent[] {
  const session: Session = { customer };
  const visited = [
    ...(customer === undefined ? [] : [pages.customer(customer), pages.recommendations(customer)]),
    ...skus.map((sku) => pages.product(sku)),
  ];
  const moments = visited.map(() => atMs - random.fraction() * SESSION_MS).sort((a, b) => a - b);
  return visited.map((page, index) => ({ atMs: moments[index] ?? atMs, page, session, tags: [] }));
}

function invalidatedBy({ customer, skus }: Invoice): number[] {
  const owners =
    customer === undefined ? [] : [`purchase@customer:${customer}`, `features:customer:${customer}`];
  return tagHashes(['purchase', ...owners, ...skus.map((sku) => `purchase@product:${sku}`)]);
}

function byMonth(invoices: readonly Invoice[]): Map<string, Map<string, number>> {
  const months = new Map<string, Map<string, number>>();
  for (const { atMs, skus } of invoices) {
    const counts = months.get(monthOf(atMs)) ?? new Map<string, number>();
    months.set(monthOf(atMs), counts);
    for (const sku of skus) counts.set(sku, (counts.get(sku) ?? 0) + 1);
  }
  return months;
}

function monthOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 7);
}

/** Draws a product, the most bought one most often. */
function zipf(counts: ReadonlyMap<string, number>, random: Random): () => string {
  const ranked = [...counts].sort((a, b) => b[1] - a[1]).map(([sku]) => sku);
  let sum = 0;
  const cumulative = ranked.map((_, index) => {
    sum += (index + 1) ** -ZIPF_ALPHA;
    return sum;
  });
  return () => {
    const wanted = random.fraction() * sum;
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((cumulative[middle] ?? 0) > wanted) high = middle;
      else low = middle + 1;
    }
    return ranked[low] ?? '';
  };
}

/** The pages of the catalog that the trace reads, with their policies and tags. */
class Pages {
  readonly #pages = new Map<string, Page>();

  product(sku: string): Page {
    return this.#page('product', { sku }, 300, [`product:${sku}`, `purchase@product:${sku}`]);
  }

  customer(id: string): Page {
    return this.#page('customer', { id }, 300, [`customer:${id}`, `purchase@customer:${id}`]);
  }

  recommendations(id: string): Page {
    return this.#page('ranker', { id, limit: 10 }, 3_600, [`features:customer:${id}`]);
  }

  hot(number: number): Page {
    return this.#page('totals', { number }, 300, ['purchase']);
  }

  #page(view: string, input: object, ttlS: number, tags: readonly string[]): Page {
    const key = cacheKey(view, input, {});
    const known = this.#pages.get(key);
    if (known !== undefined) return known;
    const page: Page = { recipe: { view, key, input, policy: cachePolicy({ ttlS }) }, tags: tagHashes(tags) };
    this.#pages.set(key, page);
    return page;
  }
}

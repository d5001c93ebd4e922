/**
 * The row definition of the shop's ranking model: which columns it reads and how a customer, a product and the
 * static candidate table become one row. Training and serving both call this module, so they cannot differ.
 *
 * An answer depends on the customer's own features and on the model version only: everything that is known about
 * products is frozen in the {@link CandidateTable} that ships with the model.
 */
import * as z from 'zod';

/** Milliseconds in a day. */
export const DAY_MS = 86_400_000;
/** The feature store returns at most this many distinct purchased products: it bounds the work of one request. */
export const MAX_CUSTOMER_ITEMS = 64;
/** The table stays small enough to be parsed once per isolate and held beside the model. */
export const MAX_TABLE_PRODUCTS = 1_000;
/** Neighbours kept per product: more add bytes but hardly any candidate that is bought. */
export const MAX_NEIGHBOURS = 20;
/** Rows of one request: one batch through the model. */
export const MAX_CANDIDATES = 200;
/** Places that neighbours cannot take from popular products, so that every customer is offered the best sellers. */
const POPULAR_RESERVED = 60;
/** Ages beyond a year tell nothing more about the next purchase. */
export const AGE_LIMIT_DAYS = 365;
/** Half-life, in days, of the interest that a purchase shows. */
const INTEREST_HALF_LIFE_DAYS = 28;
/** A product is due at 1 (its usual gap has passed); beyond 4 gaps it counts as abandoned. */
const DUE_LIMIT_GAPS = 4;

/**
 * The shop's codes for what is billed but is no article: postage, fees, corrections, vouchers, samples. Those of the
 * made-up shop begin with `demo-`.
 */
const CHARGES =
  /^(?:demo-)?(?:post|dot|m|d|b|s|c[23]|pads|cruk|amazonfee|bank charges|adjust\d?|test\d+|sp\d+|gift(?:_.*)?)$/i;

/** Whether a code is an article that can be recommended; the lines of others still count as purchases. */
export function isProduct(sku: string): boolean {
  return !CHARGES.test(sku);
}

/** The article that a code is a variant of: its digits, which letters for colours or sizes follow; undefined for none. */
export function articleOf(sku: string): string | undefined {
  return /^(?:demo-)?(\d{5})[a-z]{0,2}$/i.exec(sku)?.[1];
}

/** What the feature store returns for a customer as of a moment; times are milliseconds since the epoch. */
export interface CustomerSnapshot {
  /** Purchase lines today and on the 29 days before, in UTC. */
  readonly purchases_30d: number;
  /** Purchase lines today and on the 364 days before, in UTC. */
  readonly purchases_365d: number;
  readonly last_purchase_at: number | null;
  /** Purchased products, newest first (ties by SKU), at most {@link MAX_CUSTOMER_ITEMS}. */
  readonly items: readonly { readonly item: string; readonly count: number; readonly lastAt: number }[];
}

/** The facts about one product as of the table's moment. */
export interface CandidateProduct {
  readonly sku: string;
  /** Distinct customers that bought it in the last 28 days; the table is ordered by it. */
  readonly popularity: number;
  readonly buyers_91d: number;
  readonly buyers_365d: number;
  /** Share (0 to 1) of the customers of the last 365 days that bought it on two days or more. */
  readonly repeat_rate: number;
  /** Mean days between a customer's two purchases of it; 0 if no customer bought it twice. */
  readonly gap_days: number;
  /** Days since its first sale. */
  readonly age_days: number;
}

/** The `candidates.json` artifact: everything about products, frozen when the model was trained. */
export interface CandidateTable {
  /** The moment (ms since the epoch) before which every fact in the table was known. */
  readonly asOf: number;
  /** Distinct customers that bought anything in 28, 91 and 365 days: they turn buyers into shares. */
  readonly activeBuyers: { readonly d28: number; readonly d91: number; readonly d365: number };
  /** Most popular first, at most {@link MAX_TABLE_PRODUCTS}. */
  readonly popular: readonly CandidateProduct[];
  /** Products bought by the same customers, most similar first, at most {@link MAX_NEIGHBOURS} each. */
  readonly neighbours: Readonly<Record<string, readonly (readonly [sku: string, similarity: number])[]>>;
}

/** What a row says of the customer's own purchases of the product. */
export const OWN_COLUMNS = [
  'own_bought',
  'own_count_log',
  'own_days_log',
  'own_recency',
  'own_in_last_visit',
  'own_due',
  'own_repeat_rate',
] as const;

/** What a row says of the product alone. */
export const PRODUCT_COLUMNS = [
  'product_share_28d_log',
  'product_share_91d_log',
  'product_share_365d_log',
  'product_rank_log',
  'product_repeat_rate',
  'product_age_log',
] as const;

/** How the customer's purchases point to the product. */
export const AFFINITY_COLUMNS = [
  'affinity_max',
  'affinity_sum_log',
  'affinity_recent_log',
  'affinity_items_log',
] as const;

/** The names of the model's columns, in the order of the input tensor. */
export const RANKER_COLUMNS = [
  'customer_purchases_30d_log',
  'customer_purchases_365d_log',
  'customer_days_since_purchase_log',
  'customer_repeat_share',
  ...OWN_COLUMNS,
  ...PRODUCT_COLUMNS,
  ...AFFINITY_COLUMNS,
] as const;

/** The width of one row. */
export const RANKER_WIDTH = RANKER_COLUMNS.length;

interface ProductFacts {
  /** The last columns of the product block, precomputed: shares, rank, repeat rate, age. */
  readonly columns: readonly [number, number, number, number, number, number];
  readonly repeatRate: number;
  readonly gapDays: number;
}

interface TableIndex {
  readonly products: ReadonlyMap<string, ProductFacts>;
  readonly neighbours: ReadonlyMap<string, readonly (readonly [string, number])[]>;
  /** The facts of a product that is not in the table, because it has no recent sales. */
  readonly unknown: ProductFacts;
}

interface Affinity {
  max: number;
  sum: number;
  recent: number;
  items: number;
}

type OwnItem = CustomerSnapshot['items'][number];

/**
 * A table is immutable, so its index is derived once and lives as long as the table. It holds nothing of any
 * request.
 */
const indexes = new WeakMap<CandidateTable, TableIndex>();

function indexOf(table: CandidateTable): TableIndex {
  const known = indexes.get(table);
  if (known !== undefined) return known;
  const products = new Map<string, ProductFacts>();
  for (const [rank, product] of table.popular.entries()) {
    products.set(product.sku, productFacts(product, rank, table.activeBuyers));
  }
  const absent = { popularity: 0, buyers_91d: 0, buyers_365d: 0, repeat_rate: 0, gap_days: 0 };
  const unknown = productFacts(
    { ...absent, age_days: AGE_LIMIT_DAYS },
    MAX_TABLE_PRODUCTS,
    table.activeBuyers,
  );
  const index = { products, neighbours: new Map(Object.entries(table.neighbours)), unknown };
  indexes.set(table, index);
  return index;
}

function productFacts(
  product: Omit<CandidateProduct, 'sku'>,
  rank: number,
  active: CandidateTable['activeBuyers'],
): ProductFacts {
  return {
    columns: [
      logShare(product.popularity, active.d28),
      logShare(product.buyers_91d, active.d91),
      logShare(product.buyers_365d, active.d365),
      Math.log1p(rank),
      product.repeat_rate,
      Math.log1p(Math.min(product.age_days, AGE_LIMIT_DAYS)),
    ],
    repeatRate: product.repeat_rate,
    gapDays: product.gap_days,
  };
}

/** Buyers per thousand active customers, on a log scale: a growing shop does not shift the column. */
function logShare(buyers: number, active: number): number {
  return active === 0 ? 0 : Math.log1p((1_000 * buyers) / active);
}

function daysBetween(earlier: number, later: number): number {
  return Math.min(Math.max((later - earlier) / DAY_MS, 0), AGE_LIMIT_DAYS);
}

function interest(days: number): number {
  return 2 ** (-days / INTEREST_HALF_LIFE_DAYS);
}

/** How strongly the customer's own purchases point to each neighbouring product. */
function affinities(customer: CustomerSnapshot, index: TableIndex, now: number): Map<string, Affinity> {
  const found = new Map<string, Affinity>();
  for (const own of customer.items.slice(0, MAX_CUSTOMER_ITEMS)) {
    const fresh = interest(daysBetween(own.lastAt, now));
    for (const [sku, similarity] of index.neighbours.get(own.item) ?? []) {
      const affinity = found.get(sku);
      if (affinity === undefined) {
        found.set(sku, { max: similarity, sum: similarity, recent: similarity * fresh, items: 1 });
      } else {
        affinity.max = Math.max(affinity.max, similarity);
        affinity.sum += similarity;
        affinity.recent += similarity * fresh;
        affinity.items += 1;
      }
    }
  }
  return found;
}

/**
 * The products worth scoring for a customer: what they bought, what is bought with it, and what is popular.
 *
 * Neighbours of the newest purchases come first; age is counted from the customer's last purchase, so the set
 * changes only when the customer buys.
 *
 * @param limit most SKUs to return; 200 unless told.
 * @returns distinct SKUs; the same arguments give the same order.
 */
export function candidatesFor(
  customer: CustomerSnapshot,
  table: CandidateTable,
  limit: number = MAX_CANDIDATES,
): string[] {
  const chosen = new Set<string>();
  const take = (skus: Iterable<string>, upTo: number) => {
    for (const sku of skus) {
      if (chosen.size >= upTo) return;
      chosen.add(sku);
    }
  };
  const own = customer.items.slice(0, MAX_CUSTOMER_ITEMS).map((item) => item.item);
  take(own.filter(isProduct), limit);
  const popular = table.popular.map((product) => product.sku);
  take(popular.slice(0, POPULAR_RESERVED), limit);
  const ranked = [...affinities(customer, indexOf(table), customer.last_purchase_at ?? 0)].sort(
    ([skuA, a], [skuB, b]) => b.recent - a.recent || b.sum - a.sum || compareText(skuA, skuB),
  );
  take(
    ranked.map(([sku]) => sku),
    limit,
  );
  take(popular, limit);
  return [...chosen];
}

/** Orders by UTF-16 units: the same on every machine, unlike a locale's order. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The rows of many products for one customer, as the input tensor `[skus.length, RANKER_WIDTH]`, row-major
 * float32. This is the form for serving: the customer's part is computed once for the batch.
 *
 * @param now ms since the epoch: the moment of the answer (or the cutoff, in training).
 */
export function rankerRows(
  customer: CustomerSnapshot,
  skus: readonly string[],
  table: CandidateTable,
  now: number,
): Float32Array {
  const rows = new Float32Array(skus.length * RANKER_WIDTH);
  const write = rowWriter(customer, table, now);
  for (const [position, sku] of skus.entries()) rows.set(write(sku), position * RANKER_WIDTH);
  return rows;
}

/** One row of the input tensor, in the order of {@link RANKER_COLUMNS}; every value is finite. */
export function rankerRow(
  customer: CustomerSnapshot,
  sku: string,
  table: CandidateTable,
  now: number,
): number[] {
  return rowWriter(customer, table, now)(sku);
}

function rowWriter(
  customer: CustomerSnapshot,
  table: CandidateTable,
  now: number,
): (sku: string) => number[] {
  const index = indexOf(table);
  const items = customer.items.slice(0, MAX_CUSTOMER_ITEMS);
  const own = new Map(items.map((item) => [item.item, item]));
  const affinity = affinities(customer, index, now);
  const customerColumns = customerPart(customer, items, now);
  return (sku) => {
    const facts = index.products.get(sku) ?? index.unknown;
    const found = affinity.get(sku);
    return [
      ...customerColumns,
      ...ownPart(own.get(sku), facts, customer.last_purchase_at, now),
      ...facts.columns,
      found?.max ?? 0,
      Math.log1p(found?.sum ?? 0),
      Math.log1p(found?.recent ?? 0),
      Math.log1p(found?.items ?? 0),
    ];
  };
}

function customerPart(customer: CustomerSnapshot, items: readonly OwnItem[], now: number): number[] {
  const last = customer.last_purchase_at;
  const repeated = items.reduce((sum, item) => sum + (item.count > 1 ? 1 : 0), 0);
  return [
    Math.log1p(customer.purchases_30d),
    Math.log1p(customer.purchases_365d),
    Math.log1p(last === null ? AGE_LIMIT_DAYS : daysBetween(last, now)),
    items.length === 0 ? 0 : repeated / items.length,
  ];
}

function ownPart(
  own: OwnItem | undefined,
  facts: ProductFacts,
  lastPurchaseAt: number | null,
  now: number,
): number[] {
  if (own === undefined) return [0, 0, 0, 0, 0, 0, 0];
  const days = daysBetween(own.lastAt, now);
  const due = facts.gapDays === 0 ? 0 : Math.min(days / facts.gapDays, DUE_LIMIT_GAPS);
  const inLastVisit = lastPurchaseAt !== null && lastPurchaseAt - own.lastAt < DAY_MS ? 1 : 0;
  return [1, Math.log1p(own.count), Math.log1p(days), interest(days), inLastVisit, due, facts.repeatRate];
}

/**
 * The best products by score: highest first, ties by SKU, so that equal scores give the same answer everywhere.
 *
 * @param scores one score per SKU, in the same order.
 */
export function topByScore(skus: readonly string[], scores: ArrayLike<number>, k: number): string[] {
  return skus
    .map((sku, position) => ({ sku, score: scores[position] ?? Number.NEGATIVE_INFINITY }))
    .sort((a, b) => b.score - a.score || compareText(a.sku, b.sku))
    .slice(0, k)
    .map((entry) => entry.sku);
}

const skuSchema = z.string().min(1).max(64);
const countSchema = z.int().nonnegative();

const candidateTableSchema = z.strictObject({
  asOf: countSchema,
  activeBuyers: z.strictObject({ d28: countSchema, d91: countSchema, d365: countSchema }),
  popular: z
    .array(
      z.strictObject({
        sku: skuSchema,
        popularity: countSchema,
        buyers_91d: countSchema,
        buyers_365d: countSchema,
        repeat_rate: z.number().min(0).max(1),
        gap_days: z.number().nonnegative(),
        age_days: countSchema,
      }),
    )
    .max(MAX_TABLE_PRODUCTS),
  neighbours: z
    .record(skuSchema, z.array(z.tuple([skuSchema, z.number().min(0).max(1)])).max(MAX_NEIGHBOURS))
    .refine((record) => Object.keys(record).length <= MAX_TABLE_PRODUCTS, {
      error: `at most ${MAX_TABLE_PRODUCTS} products may have neighbours`,
    }),
});

/**
 * Validates a candidate table where it enters: from R2, from a request body, from a file.
 *
 * @throws z.ZodError when the value is not a table within its limits.
 */
export function parseCandidateTable(json: unknown): CandidateTable {
  return candidateTableSchema.parse(json);
}

/** The purchase history as training reads it, and the customer's features as of any past moment. */
import type { EntityItems } from '../../../src/define/candidates.ts';
import {
  type CustomerSnapshot,
  compareText,
  DAY_MS,
  isProduct,
  MAX_CUSTOMER_ITEMS,
} from '../catalog/ranker.ts';

/** One purchase line. */
export interface Purchase {
  readonly sku: string;
  readonly customer: string;
  /** Units; lines with none are returns or corrections and are left out. */
  readonly quantity: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** One line of one customer. */
export interface PurchaseLine {
  readonly sku: string;
  readonly at: number;
}

/** Lines by customer, in an order that does not depend on the order of arrival. */
export interface PurchaseHistory {
  /** Customers in the order of their ids; each one's lines oldest first, ties by SKU. */
  readonly customers: ReadonlyMap<string, readonly PurchaseLine[]>;
  readonly rows: number;
  /** The moment of the first and of the last line, in ms since the epoch; both 0 without lines. */
  readonly from: number;
  readonly to: number;
}

/** Groups purchases by customer; lines with a quantity of zero or less are skipped. */
export function groupPurchases(purchases: Iterable<Purchase>): PurchaseHistory {
  const grouped = new Map<string, PurchaseLine[]>();
  let rows = 0;
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const purchase of purchases) {
    if (purchase.quantity <= 0) continue;
    const lines = grouped.get(purchase.customer) ?? [];
    if (lines.length === 0) grouped.set(purchase.customer, lines);
    lines.push({ sku: purchase.sku, at: purchase.at });
    rows += 1;
    from = Math.min(from, purchase.at);
    to = Math.max(to, purchase.at);
  }
  const customers = new Map<string, readonly PurchaseLine[]>();
  for (const [customer, lines] of [...grouped].sort(([a], [b]) => compareText(a, b))) {
    customers.set(
      customer,
      lines.sort((a, b) => a.at - b.at || compareText(a.sku, b.sku)),
    );
  }
  return { customers, rows, from: rows === 0 ? 0 : from, to: rows === 0 ? 0 : to };
}

/**
 * A customer's features as of `now`: only lines strictly before it count, so nothing that happened later can
 * reach a row. A window of n days is the feature store's: today and the n − 1 days before it, in UTC, up to
 * `now`.
 *
 * @param lines the customer's lines, oldest first.
 */
export function snapshotAsOf(lines: readonly PurchaseLine[], now: number): CustomerSnapshot {
  const items = new Map<string, { item: string; count: number; lastAt: number }>();
  let purchases30 = 0;
  let purchases365 = 0;
  let last: number | null = null;
  const today = Math.floor(now / DAY_MS);
  for (const line of lines) {
    if (line.at >= now) break;
    last = line.at;
    const daysAgo = today - Math.floor(line.at / DAY_MS);
    if (daysAgo < 30) purchases30 += 1;
    if (daysAgo < 365) purchases365 += 1;
    const item = items.get(line.sku);
    if (item === undefined) items.set(line.sku, { item: line.sku, count: 1, lastAt: line.at });
    else {
      item.count += 1;
      item.lastAt = line.at;
    }
  }
  const newest = [...items.values()].sort((a, b) => b.lastAt - a.lastAt || compareText(a.item, b.item));
  return {
    purchases_30d: purchases30,
    purchases_365d: purchases365,
    last_purchase_at: last,
    items: newest.slice(0, MAX_CUSTOMER_ITEMS),
  };
}

/** The lines of each customer before a moment, as the candidate table takes them. */
export function* itemsBefore({ customers }: PurchaseHistory, moment: number): Generator<EntityItems> {
  for (const [key, lines] of customers) {
    const events = lines.flatMap(({ sku: item, at }) =>
      at < moment && isProduct(item) ? [{ item, at }] : [],
    );
    if (events.length > 0) yield { key, events };
  }
}

/** The distinct products (not charges) that a customer bought in `[from, to)`: the labels of a row. */
export function boughtBetween(lines: readonly PurchaseLine[], from: number, to: number): Set<string> {
  const bought = new Set<string>();
  for (const line of lines) {
    if (line.at >= to) break;
    if (line.at >= from && isProduct(line.sku)) bought.add(line.sku);
  }
  return bought;
}

import { and, count, eq, max, sql, sum } from 'drizzle-orm';
import * as z from 'zod';
import { earlierView } from '../../../src/define/earlier-view.ts';
import { descending } from '../../../src/define/list.ts';
import { NextCursor } from '../../../src/define/list-cursor.ts';
import { rowOrder } from '../../../src/define/row-order.ts';
import { timestampText } from '../../../src/define/sort-time.ts';
import { view } from '../../../src/define/view.ts';
import {
  Country,
  CustomerId,
  customer,
  OF_CUSTOMER,
  product,
  purchaseHistory,
  returnHistory,
  Sku,
} from './entities.ts';
import { customers, products, purchases, returns } from './tables.ts';

/** Fits the greatest number of tags of one entry: a page depends on each of its rows, and on its range. */
const PAGE_ROWS_MAX = 100;
const PageSize = z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(50);

/** RFC 3339 from what Postgres writes. */
function timestamp(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : timestampText(text);
}

/**
 * Products are written by others, too (`npm run db:capture`): what those commit is invalidated within half a second
 * (`OUTBOX_WATCH_MS`), and seen a second after that at most.
 */
const WRITTEN_BY_OTHERS = { boundMs: 1_000 } as const;
/** Few pages, and each sorts all products: worth a write to KV for each fill. A product's own page is not. */
const IN_ALL_TIERS = { ...WRITTEN_BY_OTHERS, tiers: ['memory', 'colo', 'kv'] } as const;

/** Keys of rows are plain texts here: rows that other writers made may have keys that `Sku` refuses. */
const Product = z.object({
  sku: z.string(),
  description: z.string().nullable(),
  unitPrice: z.number(),
});

export const productPage = view({
  name: 'product',
  path: '/v1/products/{sku}',
  public: true,
  description:
    'One product as the newest purchase names it, with the units sold of it, less those that came back.',
  params: { sku: Sku },
  cache: WRITTEN_BY_OTHERS,
  response: Product.extend({
    // Negative where purchases of before the first event came back.
    sold: z.object({ units: z.int(), lastAt: z.string().nullable() }),
  }),
  load: async (db, { sku }) => {
    const [[row], [sold], [returned]] = await db.batch([
      db
        .select({ sku: products.sku, description: products.description, unitPrice: products.unitPrice })
        .from(products)
        .where(eq(products.sku, sku)),
      db
        .select({ units: sum(purchases.quantity).mapWith(Number), lastAt: max(purchases.occurredAt) })
        .from(purchases)
        .where(eq(purchases.sku, sku)),
      db
        .select({ units: sum(returns.quantity).mapWith(Number) })
        .from(returns)
        .where(eq(returns.sku, sku)),
    ]);
    if (row === undefined) return null;
    const units = (sold?.units ?? 0) - (returned?.units ?? 0);
    return { ...row, sold: { units, lastAt: timestamp(sold?.lastAt) } };
  },
  tags: ({ sku }) => [product.row(sku), purchaseHistory.of(product, sku), returnHistory.of(product, sku)],
});

const productColumns = {
  sku: products.sku,
  description: products.description,
  unitPrice: products.unitPrice,
};

export const productList = view({
  name: 'products',
  path: '/v1/products',
  public: true,
  description: 'Products in the order of their SKU; `next` is what `after` wants for the next page.',
  query: { after: product.lists.bySku.cursor.optional(), limit: PageSize },
  cache: WRITTEN_BY_OTHERS,
  response: z.object({ products: z.array(Product), next: NextCursor }),
  load: async (db, query) => {
    const { rows, next, tags } = await product.lists.bySku.read(db, { ...query, select: productColumns });
    return { products: rows, next, tags };
  },
  tags: (_query, page) => page?.tags ?? [],
});

export const priceList = view({
  name: 'price-list',
  path: '/v1/price-list',
  public: true,
  description: 'Products from the cheapest on; `next` is what `after` wants for the next page.',
  query: { after: product.lists.byPrice.cursor.optional(), limit: PageSize },
  cache: IN_ALL_TIERS,
  response: z.object({ products: z.array(Product), next: NextCursor }),
  load: async (db, query) => {
    const { rows, next, tags } = await product.lists.byPrice.read(db, { ...query, select: productColumns });
    return { products: rows, next, tags };
  },
  tags: (_query, page) => page?.tags ?? [],
});

export const customerList = view({
  name: 'customers',
  path: '/v1/customers',
  description: "One country's customers in the order of their ids; `next` is what `after` wants.",
  query: { country: Country, after: customer.lists.byCountry.cursor.optional(), limit: PageSize },
  response: z.object({
    customers: z.array(z.object({ id: z.string(), country: z.string() })),
    next: NextCursor,
  }),
  load: async (db, { country, ...query }) => {
    const select = { id: customers.id, country: customers.country };
    const filter = { country };
    const { rows, next, tags } = await customer.lists.byCountry.read(db, { ...query, filter, select });
    return { customers: rows, next, tags };
  },
  tags: (_query, page) => page?.tags ?? [],
});

export const customerPage = view({
  name: 'customer',
  path: '/v1/customers/{id}',
  description: 'One customer, with the sums of their purchases and of what they sent back.',
  params: { id: CustomerId },
  rows: { ...OF_CUSTOMER, of: ({ id }) => id },
  response: z.object({
    id: z.string(),
    country: z.string(),
    purchases: z.object({ lines: z.int(), value: z.number(), lastAt: z.string().nullable() }),
    returns: z.object({ lines: z.int(), value: z.number() }),
  }),
  load: async (db, { id }) => {
    const [[found], [total], [returned]] = await db.batch([
      db.select({ id: customers.id, country: customers.country }).from(customers).where(eq(customers.id, id)),
      db
        .select({
          lines: count(),
          value: sum(sql`${purchases.quantity} * ${purchases.unitPrice}`).mapWith(Number),
          lastAt: max(purchases.occurredAt),
        })
        .from(purchases)
        .where(eq(purchases.customerId, id)),
      db
        .select({
          lines: count(),
          value: sum(sql`${returns.quantity} * ${returns.unitPrice}`).mapWith(Number),
        })
        .from(returns)
        .where(eq(returns.customerId, id)),
    ]);
    if (found === undefined) return null;
    const { lines = 0, value, lastAt } = total ?? {};
    return {
      ...found,
      purchases: { lines, value: value ?? 0, lastAt: timestamp(lastAt) },
      returns: { lines: returned?.lines ?? 0, value: returned?.value ?? 0 },
    };
  },
  tags: ({ id }) => [customer.row(id), purchaseHistory.of(customer, id), returnHistory.of(customer, id)],
});

/** Newest first. Lines of one invoice have one time, so the number of the event decides between them. */
const newestPurchases = rowOrder(purchases, descending(purchases.occurredAt), descending(purchases.eventSeq));

export const customerPurchases = view({
  name: 'customer-purchases',
  path: '/v3/customers/{id}/purchases',
  owner: 'order history',
  description: "A customer's purchases, newest first; `next` is what `after` wants for the next page.",
  params: { id: CustomerId },
  rows: { ...OF_CUSTOMER, of: ({ id }) => id },
  query: { after: newestPurchases.cursor.optional(), limit: PageSize },
  response: z.object({
    purchases: z.array(
      z.object({
        invoice: z.string(),
        sku: z.string(),
        quantity: z.int(),
        price: z.object({ unit: z.number(), line: z.number() }),
        occurredAt: z.string(),
      }),
    ),
    next: NextCursor,
  }),
  load: async (db, { id, after, limit }) => {
    const rows = await db
      .select({ line: purchases, cursor: newestPurchases.cursorColumn })
      .from(purchases)
      .where(
        and(eq(purchases.customerId, id), after === undefined ? undefined : newestPurchases.after(after)),
      )
      .orderBy(...newestPurchases.order)
      .limit(limit);
    return {
      purchases: rows.map(({ line: { invoice, sku, quantity, unitPrice, occurredAt } }) => ({
        invoice,
        sku,
        quantity,
        // Prices have four decimals; a product of floating point numbers may have more.
        price: { unit: unitPrice, line: Math.round(unitPrice * quantity * 10_000) / 10_000 },
        occurredAt: timestampText(occurredAt),
      })),
      next: rows.length === limit ? (rows.at(-1)?.cursor ?? null) : null,
    };
  },
  tags: ({ id }) => [purchaseHistory.of(customer, id)],
});

/** Version 1 had `before` where every other list has `after`, and no price of a line. */
export const customerPurchasesV1 = earlierView(customerPurchases, {
  name: 'customer-purchases-v1',
  path: '/v1/customers/{id}/purchases',
  deprecated: { since: '2026-11-28', sunset: '2027-11-30' },
  query: { before: newestPurchases.cursor.optional(), limit: PageSize },
  up: ({ before, limit }) => ({ after: before, limit }),
  response: z.object({
    purchases: z.array(
      z.object({
        invoice: z.string(),
        sku: z.string(),
        quantity: z.int(),
        unitPrice: z.number(),
        occurredAt: z.string(),
      }),
    ),
    next: NextCursor,
  }),
  down: ({ purchases, next }) => ({
    purchases: purchases.map(({ price, ...line }) => ({ ...line, unitPrice: price.unit })),
    next,
  }),
});

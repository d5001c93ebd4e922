import { and, count, eq, max, sum } from 'drizzle-orm';
import * as z from 'zod';
import { descending } from '../../../src/define/list.ts';
import { NextCursor } from '../../../src/define/list-cursor.ts';
import { rowOrder } from '../../../src/define/row-order.ts';
import { timestampText } from '../../../src/define/sort-time.ts';
import { view } from '../../../src/define/view.ts';
import { Country, CustomerId, customer, product, purchaseHistory, Sku } from './entities.ts';
import { customers, products, purchases } from './tables.ts';

const PAGE_ROWS_MAX = 100;
const PageSize = z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(50);
/** A shorter bound than the default, for the tests that wait for it; and all tiers, so that tests pass through each. */
const SHORT_BOUND = { boundMs: 1_000, tiers: ['memory', 'colo', 'kv'] } as const;

const isoTime = (text: string | null | undefined) => (text ? timestampText(text) : null);

const Product = z.object({ sku: z.string(), description: z.string().nullable(), unitPrice: z.number() });
const productColumns = {
  sku: products.sku,
  description: products.description,
  unitPrice: products.unitPrice,
};
const customerColumns = { id: customers.id, country: customers.country };

/** One row and an aggregate over a history, in one batch. */
export const productPage = view({
  name: 'product',
  path: '/v1/products/{sku}',
  public: true,
  description: 'One product, with what was sold of it.',
  params: { sku: Sku },
  cache: SHORT_BOUND,
  response: Product.extend({ sold: z.object({ units: z.int(), lastAt: z.string().nullable() }) }),
  load: async (db, { sku }) => {
    const [[row], [sold]] = await db.batch([
      db.select(productColumns).from(products).where(eq(products.sku, sku)),
      db
        .select({ units: sum(purchases.quantity).mapWith(Number), lastAt: max(purchases.occurredAt) })
        .from(purchases)
        .where(eq(purchases.sku, sku)),
    ]);
    if (row === undefined) return null;
    return { ...row, sold: { units: sold?.units ?? 0, lastAt: isoTime(sold?.lastAt) } };
  },
  tags: ({ sku }) => [product.row(sku), purchaseHistory.of(product, sku)],
});

const AfterKey = z
  .string()
  .max(32)
  .regex(/^\P{Cc}*$/u)
  .optional();

/** Pages in the order of the key. */
export const productList = view({
  name: 'products',
  path: '/v1/products',
  public: true,
  description: 'Products by SKU; `next` is the `after` of the next page.',
  query: { after: AfterKey, limit: PageSize },
  cache: SHORT_BOUND,
  response: z.object({ products: z.array(Product), next: z.string().nullable() }),
  load: async (db, { after, limit }) => {
    const list = product.lists.bySku;
    const rows = await db
      .select(productColumns)
      .from(products)
      .where(after === undefined ? undefined : list.after({ sku: after }))
      .orderBy(...list.order)
      .limit(limit);
    return { products: rows, next: rows.length === limit ? (rows.at(-1)?.sku ?? null) : null };
  },
  tags: ({ after, limit }, page) => {
    const rows = page?.products ?? [];
    const begin = after === undefined ? undefined : { sku: after };
    return product.lists.bySku.page({ after: begin, rows, full: rows.length === limit });
  },
});

/** Pages in the order of a number that changes. */
export const priceList = view({
  name: 'price-list',
  path: '/v1/price-list',
  public: true,
  description: 'Products from the cheapest on; `next` is the `after` of the next page.',
  query: { after: product.lists.byPrice.cursor.optional(), limit: PageSize },
  cache: SHORT_BOUND,
  response: z.object({ products: z.array(Product), next: NextCursor }),
  load: async (db, query) => {
    const { rows, next, tags } = await product.lists.byPrice.read(db, { ...query, select: productColumns });
    return { products: rows, next, tags };
  },
  tags: (_query, page) => page?.tags ?? [],
});

/** Pages of the rows that a filter admits. */
export const customerList = view({
  name: 'customers',
  path: '/v1/customers',
  description: 'Customers of a country by id; `next` is the `after` of the next page.',
  query: { country: Country, after: customer.lists.byCountry.cursor.optional(), limit: PageSize },
  response: z.object({
    customers: z.array(z.object({ id: z.string(), country: z.string() })),
    next: NextCursor,
  }),
  load: async (db, { country, after, limit }) => {
    const list = customer.lists.byCountry;
    const filter = { country };
    // A query of its own, as a view with joins has it.
    const rows = await db
      .select({ ...customerColumns, cursor: list.cursorColumn })
      .from(customers)
      .where(list.where({ filter, after }))
      .orderBy(...list.order)
      .limit(limit);
    const cursors = rows.map(({ cursor }) => cursor);
    const full = rows.length === limit;
    return {
      customers: rows,
      next: full ? (cursors.at(-1) ?? null) : null,
      tags: list.page({ filter, after, cursors, full }),
    };
  },
  tags: (_query, page) => page?.tags ?? [],
});

/** Has the default cache policy. */
export const customerPage = view({
  name: 'customer',
  path: '/v1/customers/{id}',
  description: 'One customer, with the number of their purchases.',
  params: { id: CustomerId },
  rows: { claim: 'customer', of: ({ id }) => id },
  response: z.object({
    id: z.string(),
    country: z.string(),
    purchases: z.object({ lines: z.int(), lastAt: z.string().nullable() }),
  }),
  load: async (db, { id }) => {
    const [[row], [total]] = await db.batch([
      db.select(customerColumns).from(customers).where(eq(customers.id, id)),
      db
        .select({ lines: count(), lastAt: max(purchases.occurredAt) })
        .from(purchases)
        .where(eq(purchases.customerId, id)),
    ]);
    if (row === undefined) return null;
    return { ...row, purchases: { lines: total?.lines ?? 0, lastAt: isoTime(total?.lastAt) } };
  },
  tags: ({ id }) => [customer.row(id), purchaseHistory.of(customer, id)],
});

const newestPurchases = rowOrder(purchases, descending(purchases.occurredAt), descending(purchases.eventSeq));

/** Pages of a history, newest first. */
export const customerPurchases = view({
  name: 'customer-purchases',
  path: '/v1/customers/{id}/purchases',
  description: 'Purchases of a customer, newest first; `next` is the `before` of the next page.',
  params: { id: CustomerId },
  rows: { claim: 'customer', of: ({ id }) => id },
  query: {
    before: newestPurchases.cursor.optional(),
    limit: PageSize,
  },
  response: z.object({
    purchases: z.array(z.object({ invoice: z.string(), sku: z.string(), quantity: z.int() })),
    next: NextCursor,
  }),
  load: async (db, { id, before, limit }) => {
    const rows = await db
      .select({ line: purchases, cursor: newestPurchases.cursorColumn })
      .from(purchases)
      .where(
        and(eq(purchases.customerId, id), before === undefined ? undefined : newestPurchases.after(before)),
      )
      .orderBy(...newestPurchases.order)
      .limit(limit);
    return {
      purchases: rows.map(({ line: { invoice, sku, quantity } }) => ({ invoice, sku, quantity })),
      next: rows.length === limit ? (rows.at(-1)?.cursor ?? null) : null,
    };
  },
  tags: ({ id }) => [purchaseHistory.of(customer, id)],
});

/** The reader's own row: the path does not say whose it is. */
export const account = view({
  name: 'account',
  path: '/v1/account',
  description: 'The customer that the claim of the reader names; 404 for a reader of all rows.',
  ownRows: 'customer',
  cache: SHORT_BOUND,
  response: z.object({ id: z.string(), country: z.string() }),
  load: async (db, _, { owner }) => {
    if (owner === null) return null;
    const [row] = await db.select(customerColumns).from(customers).where(eq(customers.id, owner));
    return row ?? null;
  },
  tags: (_, __, { owner }) => (owner === null ? [] : [customer.row(owner)]),
});

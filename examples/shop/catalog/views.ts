import { and, count, desc, eq, lt, max, or, sql, sum } from 'drizzle-orm';
import * as z from 'zod';
import { view } from '../../../src/define/view.ts';
import { Country, CustomerId, customer, product, purchaseHistory, Sku } from './entities.ts';
import { customers, products, purchases } from './tables.ts';

/** Fits the greatest number of tags of one entry: a page depends on each of its rows, and on its range. */
const PAGE_ROWS_MAX = 100;
const PageSize = z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(50);

/** RFC 3339 from whatever Postgres writes. */
function timestamp(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : new Date(text).toISOString();
}

/**
 * Products are written by others, too (`npm run db:capture`): what those commit is invalidated within half a second
 * (`OUTBOX_WATCH_MS`), and seen a second after that at most.
 */
const WRITTEN_BY_OTHERS = { boundMs: 1_000 } as const;

const Product = z.object({
  sku: Sku,
  description: z.string().nullable(),
  unitPrice: z.number(),
});

export const productPage = view({
  name: 'product',
  path: '/v1/products/{sku}',
  public: true,
  description: 'One product, with what was sold of it.',
  params: { sku: Sku },
  cache: WRITTEN_BY_OTHERS,
  response: Product.extend({
    sold: z.object({ units: z.int(), lastAt: z.string().nullable() }),
  }),
  load: async (db, { sku }) => {
    const [[row], [sold]] = await db.batch([
      db
        .select({ sku: products.sku, description: products.description, unitPrice: products.unitPrice })
        .from(products)
        .where(eq(products.sku, sku)),
      db
        .select({ units: sum(purchases.quantity).mapWith(Number), lastAt: max(purchases.occurredAt) })
        .from(purchases)
        .where(eq(purchases.sku, sku)),
    ]);
    if (row === undefined) return null;
    return { ...row, sold: { units: sold?.units ?? 0, lastAt: timestamp(sold?.lastAt) } };
  },
  tags: ({ sku }) => [product.row(sku), purchaseHistory.of(product, sku)],
});

/** Where a page begins: the key of the last row of the page before. */
const AfterKey = z
  .string()
  .max(32)
  .regex(/^\P{Cc}*$/u, 'A cursor comes from `next` of the page before.')
  .optional();

export const productList = view({
  name: 'products',
  path: '/v1/products',
  public: true,
  description: 'Products in the order of their SKU; `next` is what `after` wants for the next page.',
  query: { after: AfterKey, limit: PageSize },
  cache: WRITTEN_BY_OTHERS,
  response: z.object({ products: z.array(Product), next: z.string().nullable() }),
  load: async (db, { after, limit }) => {
    const list = product.lists.bySku;
    const rows = await db
      .select({ sku: products.sku, description: products.description, unitPrice: products.unitPrice })
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

/** `<price>:<SKU>`: the last row of the page before. The price keeps to what its column can hold. */
const AfterPrice = z
  .string()
  .regex(/^-?\d{1,8}(\.\d{1,4})?:\P{Cc}{1,32}$/u, 'A cursor comes from `next` of the page before.')
  .optional();

function priceCursor(after: string | undefined): { unitPrice: number; sku: string } | undefined {
  const [, price, sku] = /^([^:]*):(.*)$/.exec(after ?? '') ?? [];
  return sku === undefined ? undefined : { unitPrice: Number(price), sku };
}

export const priceList = view({
  name: 'price-list',
  path: '/v1/price-list',
  public: true,
  description: 'Products from the cheapest on; `next` is what `after` wants for the next page.',
  query: { after: AfterPrice, limit: PageSize },
  cache: WRITTEN_BY_OTHERS,
  response: z.object({ products: z.array(Product), next: z.string().nullable() }),
  load: async (db, { after, limit }) => {
    const list = product.lists.byPrice;
    const begin = priceCursor(after);
    const rows = await db
      .select({ sku: products.sku, description: products.description, unitPrice: products.unitPrice })
      .from(products)
      .where(begin === undefined ? undefined : list.after(begin))
      .orderBy(...list.order)
      .limit(limit);
    const last = rows.length === limit ? rows.at(-1) : undefined;
    return { products: rows, next: last === undefined ? null : `${last.unitPrice}:${last.sku}` };
  },
  tags: ({ after, limit }, page) => {
    const rows = page?.products ?? [];
    return product.lists.byPrice.page({ after: priceCursor(after), rows, full: rows.length === limit });
  },
});

export const customerList = view({
  name: 'customers',
  path: '/v1/customers',
  description: "One country's customers in the order of their ids; `next` is what `after` wants.",
  query: { country: Country, after: AfterKey, limit: PageSize },
  response: z.object({
    customers: z.array(z.object({ id: CustomerId, country: z.string() })),
    next: z.string().nullable(),
  }),
  load: async (db, { country, after, limit }) => {
    const list = customer.lists.byCountry;
    const rows = await db
      .select({ id: customers.id, country: customers.country })
      .from(customers)
      .where(and(eq(customers.country, country), after === undefined ? undefined : list.after({ id: after })))
      .orderBy(...list.order)
      .limit(limit);
    return { customers: rows, next: rows.length === limit ? (rows.at(-1)?.id ?? null) : null };
  },
  tags: ({ country, after, limit }, page) => {
    const rows = page?.customers ?? [];
    const begin = after === undefined ? undefined : { id: after };
    const full = rows.length === limit;
    return customer.lists.byCountry.page({ filter: { country }, after: begin, rows, full });
  },
});

export const customerPage = view({
  name: 'customer',
  path: '/v1/customers/{id}',
  description: 'One customer, with the sum of their purchases.',
  params: { id: CustomerId },
  response: z.object({
    id: CustomerId,
    country: z.string(),
    purchases: z.object({ lines: z.int(), value: z.number(), lastAt: z.string().nullable() }),
  }),
  load: async (db, { id }) => {
    const [[found], [total]] = await db.batch([
      db.select({ id: customers.id, country: customers.country }).from(customers).where(eq(customers.id, id)),
      db
        .select({
          lines: count(),
          value: sum(sql`${purchases.quantity} * ${purchases.unitPrice}`).mapWith(Number),
          lastAt: max(purchases.occurredAt),
        })
        .from(purchases)
        .where(eq(purchases.customerId, id)),
    ]);
    if (found === undefined) return null;
    const { lines = 0, value, lastAt } = total ?? {};
    return { ...found, purchases: { lines, value: value ?? 0, lastAt: timestamp(lastAt) } };
  },
  tags: ({ id }) => [customer.row(id), purchaseHistory.of(customer, id)],
});

/** `<milliseconds>-<event>`: where the next page of a customer's purchases begins. */
const Cursor = z.string().regex(/^\d{1,15}-\d{1,15}$/, 'A cursor comes from `next` of the page before.');

export const customerPurchases = view({
  name: 'customer-purchases',
  path: '/v1/customers/{id}/purchases',
  description: "A customer's purchases, newest first; `next` is what `before` wants for the next page.",
  params: { id: CustomerId },
  query: { before: Cursor.optional(), limit: PageSize },
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
    next: z.string().nullable(),
  }),
  load: async (db, { id, before, limit }) => {
    const [atMs, seq] = (before ?? '').split('-');
    const at = new Date(Number(atMs)).toISOString();
    const older =
      before === undefined
        ? undefined
        : or(
            lt(purchases.occurredAt, at),
            and(eq(purchases.occurredAt, at), lt(purchases.eventSeq, Number(seq))),
          );
    const rows = await db
      .select()
      .from(purchases)
      .where(and(eq(purchases.customerId, id), older))
      .orderBy(desc(purchases.occurredAt), desc(purchases.eventSeq))
      .limit(limit);
    const last = rows.length === limit ? rows.at(-1) : undefined;
    return {
      purchases: rows.map(({ invoice, sku, quantity, unitPrice, occurredAt }) => ({
        invoice,
        sku,
        quantity,
        unitPrice,
        occurredAt: new Date(occurredAt).toISOString(),
      })),
      next: last === undefined ? null : `${Date.parse(last.occurredAt)}-${last.eventSeq}`,
    };
  },
  tags: ({ id }) => [purchaseHistory.of(customer, id)],
});

import { and, asc, count, desc, eq, gt, lt, max, or, sql, sum } from 'drizzle-orm';
import * as z from 'zod';
import { view } from './define/view.ts';
import { CustomerId, customer, product, purchaseHistory, Sku } from './entities.ts';
import { customers, products, purchases } from './tables.ts';

/** Fits the greatest number of tags of one entry: a page depends on each of its rows. */
const PAGE_ROWS_MAX = 100;
const PageSize = z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(50);

/** RFC 3339 from whatever Postgres writes. */
function timestamp(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : new Date(text).toISOString();
}

const Product = z.object({
  sku: Sku,
  description: z.string().nullable(),
  unitPrice: z.number(),
});

export const productPage = view({
  name: 'product',
  path: '/v1/products/{sku}',
  description: 'One product, with what was sold of it.',
  params: { sku: Sku },
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

export const productList = view({
  name: 'products',
  path: '/v1/products',
  description: 'Products in the order of their SKU; `next` is what `after` wants for the next page.',
  query: { after: z.string().max(32).default(''), limit: PageSize },
  response: z.object({ products: z.array(Product), next: z.string().nullable() }),
  load: async (db, { after, limit }) => {
    const rows = await db
      .select({ sku: products.sku, description: products.description, unitPrice: products.unitPrice })
      .from(products)
      .where(gt(products.sku, after))
      .orderBy(asc(products.sku))
      .limit(limit);
    return { products: rows, next: rows.length === limit ? (rows.at(-1)?.sku ?? null) : null };
  },
  tags: (_, page) => [product.collection, ...(page?.products ?? []).map(({ sku }) => product.row(sku))],
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

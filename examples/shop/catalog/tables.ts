import { sql } from 'drizzle-orm';
import { bigint, index, integer, numeric, pgTable, text, timestamp } from 'drizzle-orm/pg-core';

/** The shop's own tables. `npm run db:generate` writes a migration after a change. */

export const products = pgTable(
  'products',
  {
    sku: text('sku').primaryKey(),
    description: text('description'),
    unitPrice: numeric('unit_price', { precision: 12, scale: 4, mode: 'number' }).notNull(),
    updatedAt: timestamp('updated_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    /** When the purchase happened that the description is from, and that the price is from. */
    describedAt: timestamp('described_at', { withTimezone: true, mode: 'string' }),
    pricedAt: timestamp('priced_at', { withTimezone: true, mode: 'string' }),
  },
  // Lists sort texts by their bytes, which the primary key's index does only under a database's collation "C".
  (table) => [
    index('products_by_sku').on(sql`${table.sku} collate "C"`),
    index('products_by_price').on(table.unitPrice, sql`${table.sku} collate "C"`),
  ],
);

export const customers = pgTable(
  'customers',
  {
    id: text('id').primaryKey(),
    country: text('country').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
  },
  (table) => [index('customers_by_country').on(table.country, sql`${table.id} collate "C"`)],
);

/** The columns of a line of an invoice. `eventSeq` names the event that it was stored from; every history has it. */
function invoiceLine() {
  return {
    eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
    invoice: text('invoice').notNull(),
    sku: text('sku').notNull(),
    customerId: text('customer_id'),
    quantity: integer('quantity').notNull(),
    unitPrice: numeric('unit_price', { precision: 12, scale: 4, mode: 'number' }).notNull(),
    country: text('country').notNull(),
    occurredAt: timestamp('occurred_at', { withTimezone: true, mode: 'string' }).notNull(),
  };
}

/** What was bought. */
export const purchases = pgTable('purchases', invoiceLine(), (table) => [
  index('purchases_customer').on(table.customerId, table.occurredAt, table.eventSeq),
  index('purchases_sku').on(table.sku, table.occurredAt),
]);

/** A line of a cancelled invoice: what came back. Quantities are positive. */
export const returns = pgTable('returns', invoiceLine(), (table) => [
  index('returns_customer').on(table.customerId, table.occurredAt),
  index('returns_sku').on(table.sku, table.occurredAt),
]);

/** A visitor looked at a product. */
export const productViews = pgTable(
  'product_views',
  {
    eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
    sku: text('sku').notNull(),
    customerId: text('customer_id'),
    occurredAt: timestamp('occurred_at', { withTimezone: true, mode: 'string' }).notNull(),
  },
  (table) => [index('product_views_customer').on(table.customerId, table.occurredAt)],
);

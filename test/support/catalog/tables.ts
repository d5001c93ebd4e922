import { sql } from 'drizzle-orm';
import { bigint, index, integer, numeric, pgTable, text, timestamp } from 'drizzle-orm/pg-core';

/** The tables of the fixture catalog. `migrations/` creates them; a test compares the two. */

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });
const price = () => numeric('unit_price', { precision: 12, scale: 4, mode: 'number' }).notNull();

export const products = pgTable(
  'products',
  {
    sku: text('sku').primaryKey(),
    description: text('description'),
    unitPrice: price(),
    updatedAt: moment('updated_at').notNull().defaultNow(),
  },
  // Lists compare texts by their bytes, and so do these indexes.
  (table) => [
    index('products_by_sku').on(sql`${table.sku} collate "C"`),
    index('products_by_price').on(table.unitPrice, sql`${table.sku} collate "C"`),
  ],
);

export const customers = pgTable(
  'customers',
  { id: text('id').primaryKey(), country: text('country').notNull() },
  (table) => [index('customers_by_country').on(table.country, sql`${table.id} collate "C"`)],
);

/** Both histories of lines have the same columns. */
const lineColumns = () => ({
  eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
  invoice: text('invoice').notNull(),
  sku: text('sku').notNull(),
  customerId: text('customer_id'),
  quantity: integer('quantity').notNull(),
  unitPrice: price(),
  country: text('country').notNull(),
  occurredAt: moment('occurred_at').notNull(),
});

export const purchases = pgTable('purchases', lineColumns(), (table) => [
  index('purchases_customer').on(table.customerId, table.occurredAt, table.eventSeq),
  index('purchases_sku').on(table.sku, table.occurredAt),
]);

export const returns = pgTable('returns', lineColumns(), (table) => [
  index('returns_customer').on(table.customerId, table.occurredAt),
]);

export const productViews = pgTable(
  'product_views',
  {
    eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
    sku: text('sku').notNull(),
    customerId: text('customer_id'),
    occurredAt: moment('occurred_at').notNull(),
  },
  (table) => [index('product_views_customer').on(table.customerId, table.occurredAt)],
);

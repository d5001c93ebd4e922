import * as z from 'zod';
import { entity, history } from '../../../src/define/entity.ts';
import { customers, products, productViews, purchases, returns } from './tables.ts';

/** Stock codes of the shop: `85123A`, `POST`, `gift_0001_20`. */
export const Sku = z
  .string()
  .trim()
  .min(1)
  .max(32)
  .regex(/^[\w .&-]+$/, 'A SKU has letters, digits and _ . & - only.');
export const CustomerId = z
  .string()
  .trim()
  .min(1)
  .max(32)
  .regex(/^[\w-]+$/, 'A customer id has letters, digits, _ and - only.');
/** The claim of keys and tokens that may read one customer alone. */
export const OF_CUSTOMER = { claim: 'customer' } as const;
/** As the tills send it: a name, not a code. */
export const Country = z.string().trim().min(1).max(64);

export const product = entity({
  name: 'product',
  table: products,
  key: products.sku,
  keySchema: Sku,
  write: {
    path: 'products',
    body: z.strictObject({
      description: z.string().trim().min(1).max(500).nullable(),
      unitPrice: z.number().min(0).max(10_000_000).multipleOf(0.0001).meta({ multipleOf: 0.0001 }),
    }),
  },
  // A purchase without a description keeps the one that is there, so each column has a clock of its own.
  clocks: { describedAt: ['description'], pricedAt: ['unitPrice'] },
  lists: {
    bySku: { orderBy: products.sku },
    byPrice: { orderBy: products.unitPrice },
  },
});

export const customer = entity({
  name: 'customer',
  table: customers,
  key: customers.id,
  keySchema: CustomerId,
  // Features and recommendations of the customer whom the claim of the reader names.
  rows: OF_CUSTOMER,
  write: { path: 'customers', body: z.strictObject({ country: Country }) },
  lists: { byCountry: { orderBy: customers.id, filter: [customers.country] } },
});

const owners = [
  { entity: customer, property: 'customerId' },
  { entity: product, property: 'sku' },
] as const;

export const purchaseHistory = history({ name: 'purchase', table: purchases, owners });
export const returnHistory = history({ name: 'return', table: returns, owners });
export const productViewHistory = history({ name: 'product-view', table: productViews, owners });

import * as z from 'zod';
import { entity, history } from '../../../src/define/entity.ts';
import { customers, products, productViews, purchases, returns } from './tables.ts';

export const Sku = z
  .string()
  .min(1)
  .max(32)
  .regex(/^[\w .&-]+$/);
export const CustomerId = z
  .string()
  .min(1)
  .max(32)
  .regex(/^[\w-]+$/);
export const Country = z
  .string()
  .min(1)
  .max(64)
  .regex(/^\P{Cc}*$/u);

/** Has a list by its key and one by a numeric column. */
export const product = entity({
  name: 'product',
  table: products,
  key: products.sku,
  keySchema: Sku,
  write: {
    path: 'products',
    body: z.strictObject({
      description: z.string().min(1).max(500).nullable(),
      unitPrice: z.number().min(0).max(10_000_000).multipleOf(0.0001).meta({ multipleOf: 0.0001 }),
    }),
  },
  lists: {
    bySku: { orderBy: products.sku },
    byPrice: { orderBy: products.unitPrice },
  },
});

/** Has a list with a filter. */
export const customer = entity({
  name: 'customer',
  table: customers,
  key: customers.id,
  keySchema: CustomerId,
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

import * as z from 'zod';
import { feature } from '../../../src/define/feature.ts';
import { customer, product } from './entities.ts';
import { productView, purchase } from './events.ts';

/** One feature of each kind for the customer, two for the product. */

const ofCustomer = {
  entity: customer,
  event: purchase,
  key: (line: { customerId: string | null }) => line.customerId,
};
const ofProduct = { entity: product, event: purchase, key: (line: { sku: string }) => line.sku };

export const purchases = feature.count({ ...ofCustomer, name: 'purchases', windowsDays: [30, 365] });

export const spend = feature.sum({
  ...ofCustomer,
  name: 'spend_minor',
  value: (line) => Math.round(line.quantity * line.unitPrice * 100),
  windowsDays: [90],
});

export const lastPurchase = feature.last({ ...ofCustomer, name: 'last_purchase_at' });

export const items = feature.items({ ...ofCustomer, name: 'items', item: (line) => line.sku, limit: 64 });

export const views = feature.count({
  name: 'product_views',
  entity: customer,
  event: productView,
  key: (seen) => seen.customerId,
  windowsDays: [7],
});

export const units = feature.sum({
  ...ofProduct,
  name: 'units',
  value: (line) => line.quantity,
  windowsDays: [7, 30],
});

export const lastSold = feature.last({ ...ofProduct, name: 'last_sold_at' });

/** The share of the month's units that was sold in the last week. */
export const unitsTrend = feature.ratio({ name: 'units_trend', of: units.window(7), to: units.window(30) });

/** How an order compares with what the customer has spent so far. */
export const orderShare = feature.derived({
  name: 'order_share',
  entity: customer,
  inputs: { spent: spend.window(90) },
  request: { orderMinor: z.int().min(0) },
  compute: ({ spent }, { orderMinor }) => (spent === 0 ? null : orderMinor / spent),
});

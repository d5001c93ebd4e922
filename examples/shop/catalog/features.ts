import { feature } from '../../../src/define/feature.ts';
import { customer, product } from './entities.ts';
import { productView, purchase } from './events.ts';
import { customers } from './tables.ts';

export const customerPurchases = feature.count({
  name: 'purchases',
  entity: customer,
  event: purchase,
  key: (line) => line.customerId,
  windowsDays: [30, 365],
});

/** In hundredths of the shop's currency, so that sums are exact whatever their order. */
export const customerSpend = feature.sum({
  name: 'spend_minor',
  entity: customer,
  event: purchase,
  key: (line) => line.customerId,
  value: (line) => Math.round(line.quantity * line.unitPrice * 100),
  windowsDays: [90],
});

export const customerLastPurchase = feature.last({
  name: 'last_purchase_at',
  entity: customer,
  event: purchase,
  key: (line) => line.customerId,
});

export const customerItems = feature.items({
  name: 'items',
  entity: customer,
  event: purchase,
  key: (line) => line.customerId,
  item: (line) => line.sku,
  limit: 64,
});

export const customerViews = feature.count({
  name: 'product_views',
  entity: customer,
  event: productView,
  key: (seen) => seen.customerId,
  windowsDays: [7],
});

export const productUnits = feature.sum({
  name: 'units',
  entity: product,
  event: purchase,
  key: (line) => line.sku,
  value: (line) => line.quantity,
  windowsDays: [7, 30],
});

export const productLastSold = feature.last({
  name: 'last_sold_at',
  entity: product,
  event: purchase,
  key: (line) => line.sku,
});

/** Where the customer lives, as the row says: a correction by hand counts at once, and a purchase from abroad does not. */
export const customerCountry = feature.column({
  name: 'country',
  entity: customer,
  column: customers.country,
});

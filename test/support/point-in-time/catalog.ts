import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { feature } from '../../../src/define/feature.ts';
import * as entities from '../catalog/entities.ts';
import * as events from '../catalog/events.ts';
import { productReturn, purchase } from '../catalog/events.ts';
import * as fixture from '../catalog/features.ts';
import * as models from '../catalog/models.ts';
import * as views from '../catalog/views.ts';

/** The catalog of the product's own tests with features of every aggregate, over windows of each width. */

const ofCustomer = {
  entity: entities.customer,
  event: purchase,
  key: (line: { customerId: string | null }) => line.customerId,
};
const ofProduct = { entity: entities.product, event: purchase, key: (line: { sku: string }) => line.sku };
const price = (line: { unitPrice: number }) => line.unitPrice;
const windows = ['60m', '24h', '7d', '90d', '1y', 'lifetime'] as const;

const lines = feature.count({ ...ofCustomer, name: 'lines', windows });
const paid = feature.sum({
  ...{ ...ofCustomer, name: 'paid', windows, numbers: { decimals: 2 } },
  value: (line) => line.quantity * line.unitPrice,
});

const features = {
  ...fixture,
  lines,
  paid,
  prices: feature.sum({ ...ofCustomer, name: 'prices', windows, value: price }),
  meanPrice: feature.mean({ ...ofCustomer, name: 'mean_price', windows, value: price }),
  spread: feature.variance({ ...ofCustomer, name: 'spread', windows, value: price }),
  cheapest: feature.min({ ...ofCustomer, name: 'cheapest', windows, value: price, numbers: { decimals: 2 } }),
  dearest: feature.max({ ...ofCustomer, name: 'dearest', windows: ['90d'], value: price }),
  firstSku: feature.firstValue({ ...ofCustomer, name: 'first_sku', windows, value: (line) => line.sku }),
  country: feature.lastValue({
    ...{ ...ofCustomer, name: 'country', windows: ['lifetime'], ttl: '90d' },
    value: (line) => line.country,
  }),
  skus: feature.distinct({ ...ofCustomer, name: 'skus', windows, value: (line) => line.sku }),
  favourites: feature.mostFrequent({
    ...{ ...ofCustomer, name: 'favourites', windows: ['90d', 'lifetime'], limit: 5 },
    value: (line) => line.sku,
  }),
  recent: feature.decayed({ ...ofCustomer, name: 'recent', halfLife: '7d' }),
  since: feature.sinceLast({ ...ofCustomer, name: 'since' }),
  returned: feature.count({
    ...ofCustomer,
    event: productReturn,
    name: 'returned',
    windows: ['1y', 'lifetime'],
  }),
  averageLine: feature.ratio({ name: 'average_line', of: paid.window('90d'), to: lines.window('90d') }),
  buyers: feature.distinct({ ...ofProduct, name: 'buyers', windows, value: (line) => line.customerId }),
  soldPrice: feature.mean({ ...ofProduct, name: 'sold_price', windows: ['7d', '1y'], value: price }),
  countries: feature.mostFrequent({
    ...{ ...ofProduct, name: 'countries', windows: ['1y'], limit: 3 },
    value: (line) => line.country,
  }),
  pace: feature.decayed({ ...ofProduct, name: 'pace', halfLife: '2d' }),
};

export const catalog = defineCatalog({ entities, events, views, features, models });

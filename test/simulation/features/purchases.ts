import { feature } from '../../../src/define/feature.ts';
import { customer } from '../../support/catalog/entities.ts';
import { purchase } from '../../support/catalog/events.ts';

/** What features of customers over purchases have in common. */
export const ofPurchases = {
  entity: customer,
  event: purchase,
  key: (line: { customerId: string | null }) => line.customerId,
};
export const lines = feature.count({ ...ofPurchases, name: 'lines', windows: ['7d', 'lifetime'] });
export const spent = feature.sum({
  ...ofPurchases,
  name: 'spent',
  windows: ['lifetime'],
  value: (line) => line.unitPrice,
});
export const skus = feature.distinct({
  ...ofPurchases,
  name: 'skus',
  windows: ['30m', 'lifetime'],
  value: (line) => line.sku,
});

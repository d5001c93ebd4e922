import * as z from 'zod';
import type { HistoryDefinition } from '../../../src/define/entity.ts';
import { append, ensure, event } from '../../../src/define/event.ts';
import {
  custom,
  distribution,
  freshness,
  pattern,
  type QualityRule,
  range,
  referential,
  required,
  unique,
} from '../../../src/define/quality.ts';
import { earlierVersion } from '../../../src/define/version.ts';
import {
  Country,
  CustomerId,
  customer,
  product,
  productViewHistory,
  purchaseHistory,
  returnHistory,
  Sku,
} from './entities.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const Line = z.object({
  invoice: z.string().min(1).max(32),
  sku: Sku,
  description: z.string().max(500).nullable().default(null),
  quantity: z.int().min(-1_000_000).max(1_000_000),
  unitPrice: z.number().min(-1_000_000).max(1_000_000),
  customerId: CustomerId.nullable().default(null),
  country: Country,
});
type Line = z.output<typeof Line>;

const notFromTheFuture = custom<unknown>({
  name: 'occurred_in_the_future',
  dimension: 'timeliness',
  mode: 'blocking',
  pointer: '/time',
  detail: 'The event is more than five minutes ahead of the server.',
  holds: (_, { occurredAt, now }) => occurredAt <= now + 5 * MINUTE_MS,
});
const soon = freshness({ maxAgeMs: HOUR_MS, historyMs: 24 * HOUR_MS });

/** Two rules that block, and one or more scoring rules of each dimension. */
const rulesFor = (
  history: HistoryDefinition,
  isInvoice: (invoice: string) => boolean,
): QualityRule<Line>[] => [
  range('quantity', {
    name: 'quantity_not_positive',
    mode: 'blocking',
    above: 0,
    detail: 'The quantity is at least 1.',
  }),
  range('unitPrice', { name: 'price_not_positive', mode: 'blocking', above: 0 }),
  notFromTheFuture,
  required('customerId', { name: 'customer_missing' }),
  required('description', { name: 'description_missing' }),
  custom<Line>({
    name: 'country_unspecified',
    dimension: 'completeness',
    pointer: '/data/country',
    detail: 'The country is the word "Unspecified".',
    holds: ({ country }) => country !== 'Unspecified',
  }),
  pattern('sku', /\d/, { name: 'sku_of_no_product' }),
  custom<Line>({
    name: 'invoice_of_another_kind',
    dimension: 'consistency',
    pointer: '/data/invoice',
    detail: 'Invoices of returns begin with C, and no others do.',
    holds: ({ invoice }) => isInvoice(invoice),
  }),
  soon,
  unique(['sku', 'invoice', 'customerId', 'quantity', 'unitPrice'], {
    name: 'line_sent_twice',
    history,
    withinMs: 10 * MINUTE_MS,
  }),
  distribution('quantity', { edges: [2, 5, 9] }),
  distribution('unitPrice', { name: 'price_shifted', edges: [1, 2, 3] }),
  distribution('country', { values: ['United Kingdom', 'EIRE'] }),
];

const lineEvent = (
  type: string,
  description: string,
  history: HistoryDefinition,
  isInvoice: (invoice: string) => boolean,
) =>
  event({
    type,
    version: 1,
    description,
    data: Line,
    rules: rulesFor(history, isInvoice),
    example: { invoice: '1', sku: 'A1', quantity: 1, unitPrice: 1, customerId: 'c1', country: 'EIRE' },
    stores: ({ description: text, ...line }, context) => [
      ensure(product, { sku: line.sku, description: text, unitPrice: line.unitPrice }),
      append(history, { ...line, occurredAt: new Date(context.occurredAt).toISOString() }),
      ...(line.customerId === null ? [] : [ensure(customer, { id: line.customerId, country: line.country })]),
    ],
  });

export const purchase = lineEvent(
  'shop.purchase',
  'A customer bought a quantity of a product.',
  purchaseHistory,
  (invoice) => !invoice.startsWith('C'),
);
export const productReturn = lineEvent(
  'shop.return',
  'A quantity of a product came back.',
  returnHistory,
  (invoice) => invoice.startsWith('C'),
);

const View = z.object({
  sku: Sku,
  customerId: CustomerId.nullable().default(null),
  device: z.enum(['phone', 'desktop', 'unknown']),
});

const viewWithoutDevice = earlierVersion({
  version: 1,
  deprecated: { since: '2026-11-01', sunset: '2027-11-01' },
  data: View.omit({ device: true }),
  upcast: (seen) => ({ ...seen, device: 'unknown' as const }),
  example: { sku: 'A1', customerId: 'c1' },
});

/** Has an earlier version, and rules that the database judges. */
export const productView = event({
  type: 'shop.product-view',
  version: 2,
  earlier: viewWithoutDevice,
  description: 'A customer looked at a product.',
  data: View,
  rules: [
    notFromTheFuture,
    soon,
    referential('sku', { name: 'product_unknown', history: productViewHistory, entity: product }),
    referential('customerId', { name: 'customer_unknown', history: productViewHistory, entity: customer }),
  ],
  example: { sku: 'A1', customerId: 'c1', device: 'phone' },
  stores: ({ sku, customerId }, { occurredAt }) => [
    append(productViewHistory, { sku, customerId, occurredAt: new Date(occurredAt).toISOString() }),
  ],
});

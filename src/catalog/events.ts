import * as z from 'zod';
import type { HistoryDefinition } from './define/entity.ts';
import { append, type Effect, type EventContext, ensure, event, type QualityRule } from './define/event.ts';
import { earlierVersion } from './define/version.ts';
import {
  CustomerId,
  customer,
  product,
  productViewHistory,
  purchaseHistory,
  returnHistory,
  Sku,
} from './entities.ts';

/** How far the clock of a producer may run ahead of ours, in milliseconds. */
const FUTURE_TOLERANCE_MS = 5 * 60_000;

/** A line of an invoice, as the shop's tills send it. */
const InvoiceLine = z.object({
  invoice: z.string().trim().min(1).max(32),
  sku: Sku,
  description: z.string().trim().max(500).nullable().default(null),
  quantity: z.int().min(-1_000_000).max(1_000_000),
  /** In the shop's currency. */
  unitPrice: z.number().min(-1_000_000).max(1_000_000),
  customerId: CustomerId.nullable().default(null),
  country: z.string().trim().min(1).max(64),
});
type InvoiceLine = z.output<typeof InvoiceLine>;

const notFromTheFuture: QualityRule<unknown> = {
  name: 'occurred_in_the_future',
  pointer: '/time',
  detail: 'The event says that it happened more than five minutes from now.',
  holds: (_, context) => context.occurredAt <= context.now + FUTURE_TOLERANCE_MS,
};

const lineRules: readonly QualityRule<InvoiceLine>[] = [
  {
    name: 'quantity_not_positive',
    pointer: '/data/quantity',
    detail: 'The quantity of a line is at least 1; what comes back is sent as shop.return.v1.',
    holds: (line) => line.quantity > 0,
  },
  {
    name: 'price_not_positive',
    pointer: '/data/unitPrice',
    detail: 'The unit price of a line is greater than zero.',
    holds: (line) => line.unitPrice > 0,
  },
  notFromTheFuture,
];

const exampleLine: z.input<typeof InvoiceLine> = {
  invoice: '536365',
  sku: '85123A',
  description: 'A white heart to hang up',
  quantity: 6,
  unitPrice: 2.55,
  customerId: '17850',
  country: 'United Kingdom',
};

function storeLine(history: HistoryDefinition) {
  return (line: InvoiceLine, context: EventContext): Effect[] => {
    const { invoice, sku, customerId, quantity, unitPrice, country, description } = line;
    const occurredAt = new Date(context.occurredAt).toISOString();
    const effects = [
      ensure(product, { sku, description, unitPrice }),
      append(history, { invoice, sku, customerId, quantity, unitPrice, country, occurredAt }),
    ];
    if (customerId !== null) effects.push(ensure(customer, { id: customerId, country }));
    return effects;
  };
}

export const purchase = event({
  type: 'shop.purchase',
  version: 1,
  description: 'A customer, known or not, bought a quantity of one product.',
  data: InvoiceLine,
  example: exampleLine,
  rules: lineRules,
  stores: storeLine(purchaseHistory),
});

export const productReturn = event({
  type: 'shop.return',
  version: 1,
  description: 'A quantity of one product came back: a line of a cancelled invoice.',
  data: InvoiceLine,
  example: exampleLine,
  rules: lineRules,
  stores: storeLine(returnHistory),
});

const ProductView = z.object({
  sku: Sku,
  customerId: CustomerId.nullable().default(null),
  device: z.enum(['phone', 'tablet', 'desktop', 'unknown']),
});

/** Sent by pages that do not tell the device yet. */
const productViewV1 = earlierVersion({
  version: 1,
  deprecated: { since: '2026-11-01', sunset: '2027-11-01' },
  data: ProductView.omit({ device: true }),
  upcast: (seen) => ({ ...seen, device: 'unknown' as const }),
  example: { sku: '85123A', customerId: '17850' },
});

export const productView = event({
  type: 'shop.product-view',
  version: 2,
  earlier: productViewV1,
  description: 'A visitor looked at the page of a product.',
  data: ProductView,
  example: { sku: '85123A', customerId: '17850', device: 'phone' },
  rules: [notFromTheFuture],
  stores: ({ sku, customerId }, context) => [
    append(productViewHistory, { sku, customerId, occurredAt: new Date(context.occurredAt).toISOString() }),
  ],
});

import * as z from 'zod';
import type { HistoryDefinition } from '../../../src/define/entity.ts';
import { append, type Effect, type EventContext, ensure, event, set } from '../../../src/define/event.ts';
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
  CustomerId,
  customer,
  product,
  productViewHistory,
  purchaseHistory,
  returnHistory,
  Sku,
} from './entities.ts';
import type { purchases } from './tables.ts';

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

const notFromTheFuture = custom<unknown>({
  name: 'occurred_in_the_future',
  dimension: 'timeliness',
  mode: 'blocking',
  pointer: '/time',
  detail: 'The event says that it happened more than five minutes from now.',
  holds: (_, context) => context.occurredAt <= context.now + FUTURE_TOLERANCE_MS,
});

/** Tills send within seconds, and gather for an hour while they are offline; what is a day old is history. */
const soon = freshness({ maxAgeMs: 3_600_000, historyMs: 24 * 3_600_000 });

/**
 * Five digits and a suffix; gift vouchers and the sets of the catalogue have codes of their own, and those of the made-up
 * shop begin with `demo-`.
 */
const STOCK_CODE = /^(?:demo-)?(?:\d{5}\w{0,3}|DCGS\w+|gift_\w+)$/i;
/** Lines above are bank charges and adjustments that were keyed in by hand. */
const PLAUSIBLE_PRICE_MAX = 1_000;
/** The largest order of a wholesaler, in pieces of one product. */
const PLAUSIBLE_QUANTITY_MAX = 10_000;
/** A till that sends a line again does so while the invoice is open. */
const SAME_LINE_WITHIN_MS = 10 * 60_000;

function lineRules(
  history: HistoryDefinition,
  isInvoice: (invoice: string) => boolean,
): QualityRule<InvoiceLine>[] {
  return [
    range('quantity', {
      name: 'quantity_not_positive',
      mode: 'blocking',
      above: 0,
      detail: 'The quantity of a line is at least 1; what comes back is sent as shop.return.v1.',
    }),
    range('unitPrice', {
      name: 'price_not_positive',
      mode: 'blocking',
      above: 0,
      detail: 'The unit price of a line is greater than zero.',
    }),
    notFromTheFuture,
    required('customerId', { name: 'customer_missing', detail: 'The buyer is not known.' }),
    required('description', { name: 'description_missing' }),
    custom<InvoiceLine>({
      name: 'country_unspecified',
      dimension: 'completeness',
      pointer: '/data/country',
      detail: 'The country is a word for not knowing it.',
      holds: ({ country }) => !/^(unspecified|unknown)$/i.test(country),
    }),
    pattern('sku', STOCK_CODE, {
      name: 'sku_of_no_product',
      detail: 'The stock code is that of postage, a fee or an adjustment, or a wrong one.',
    }),
    range('quantity', { name: 'quantity_implausible', max: PLAUSIBLE_QUANTITY_MAX }),
    range('unitPrice', { name: 'price_implausible', max: PLAUSIBLE_PRICE_MAX }),
    custom<InvoiceLine>({
      name: 'invoice_of_another_kind',
      dimension: 'consistency',
      pointer: '/data/invoice',
      detail: 'Invoices that begin with C are cancelled: their lines are returns, and no others are.',
      holds: ({ invoice }) => isInvoice(invoice),
    }),
    soon,
    unique(['sku', 'invoice', 'customerId', 'quantity', 'unitPrice'], {
      name: 'line_sent_twice',
      history,
      withinMs: SAME_LINE_WITHIN_MS,
    }),
    distribution('quantity', { edges: [2, 3, 5, 9, 13, 25, 49, 97] }),
    distribution('unitPrice', { name: 'price_shifted', edges: [0.5, 1, 1.5, 2, 3, 4, 6, 10] }),
    distribution('country', { values: ['United Kingdom', 'EIRE', 'Germany', 'France', 'Netherlands'] }),
  ];
}

const exampleLine: z.input<typeof InvoiceLine> = {
  invoice: '536365',
  sku: '85123A',
  description: 'A white heart to hang up',
  quantity: 6,
  unitPrice: 2.55,
  customerId: '17850',
  country: 'United Kingdom',
};

/** Columns that purchases and returns share. */
type StoredLine = Omit<typeof purchases.$inferInsert, 'eventSeq'>;

/**
 * Every line inserts its product with the same columns: a batch then has one insert, in the order of the keys. Several
 * would let two transactions wait for each other's rows.
 *
 * @param describe what else a line says about its product.
 */
function storeLine(appendLine: (line: StoredLine) => Effect, describe?: (line: InvoiceLine) => Effect) {
  return (line: InvoiceLine, context: EventContext): Effect[] => {
    const { invoice, sku, customerId, quantity, unitPrice, country, description } = line;
    const occurredAt = new Date(context.occurredAt).toISOString();
    const effects = [
      ensure(product, { sku, description, unitPrice }),
      ...(describe === undefined ? [] : [describe(line)]),
      appendLine({ invoice, sku, customerId, quantity, unitPrice, country, occurredAt }),
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
  rules: lineRules(purchaseHistory, (invoice) => !/^c/i.test(invoice)),
  example: exampleLine,
  stores: storeLine(
    (line) => append(purchaseHistory, line),
    // What the product is called and sold for now, unless a later purchase has said so.
    ({ sku, description, unitPrice }) =>
      set(product, sku, { unitPrice, ...(description === null ? {} : { description }) }),
  ),
});

export const productReturn = event({
  type: 'shop.return',
  version: 1,
  description: 'A quantity of one product came back: a line of a cancelled invoice.',
  data: InvoiceLine,
  rules: lineRules(returnHistory, (invoice) => /^c/i.test(invoice)),
  example: exampleLine,
  stores: storeLine((line) => append(returnHistory, line)),
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
  rules: [
    notFromTheFuture,
    soon,
    referential('sku', { name: 'product_unknown', history: productViewHistory, entity: product }),
    referential('customerId', { name: 'customer_unknown', history: productViewHistory, entity: customer }),
  ],
  data: ProductView,
  example: { sku: '85123A', customerId: '17850', device: 'phone' },
  stores: ({ sku, customerId }, context) => [
    append(productViewHistory, { sku, customerId, occurredAt: new Date(context.occurredAt).toISOString() }),
  ],
});

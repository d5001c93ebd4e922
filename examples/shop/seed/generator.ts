import type { InvoiceLine } from '../import/line.ts';
import { Assortment, fillBasket } from './baskets.ts';
import { type Day, daysUntil, openingTime } from './calendar.ts';
import { createProducts, type Product } from './catalog.ts';
import { type Customer, createCustomers, createStranger } from './customers.ts';
import { madeUp } from './made-up.ts';
import { createRandom, type Random, Weighted } from './random.ts';
import { COUNTRIES, ODD_CODES, STOCK_NOTES } from './words.ts';

/** The CloudEvents `source` of what is generated here. */
export const SEED_SOURCE = '/seed';

export interface SeedOptions {
  /** A whole number: the same options give the same lines. */
  readonly seed: number;
  /** No line happens after this moment. */
  readonly until: Date;
  readonly months?: number;
  readonly customers?: number;
  readonly products?: number;
  /** About how many lines; the last invoice is not cut off. */
  readonly lines?: number;
}

/** An invoice before it has a number: numbers are given in the order of time. */
interface Draft {
  readonly occurredAt: number;
  /** `C` for cancelled, `A` for an entry of the accountant. */
  readonly prefix: '' | 'C' | 'A';
  readonly lines: readonly Omit<InvoiceLine, 'invoice' | 'occurredAt'>[];
}

interface ScheduledReturn {
  readonly dueDay: number;
  readonly lines: Draft['lines'];
}

const FIRST_INVOICE = 600_001;
/** Sometimes a number is left out. */
const SKIPPED_INVOICE_SHARE = 0.2;

// The shares of the dirt were measured in the real file (526 thousand lines) and turned into shares of invoices.
/** Invoices of buyers that the till does not know; their baskets are larger, so they make a fifth of all lines. */
const STRANGER_SHARE = 0.155;
const STRANGER_BASKET_MEDIAN = 1.5;
const STRANGER_BASKET_SIGMA = 0.6;
/** Stock that was written off: a negative quantity at no price and without a customer. */
const WRITE_OFF_SHARE = 0.033;
/** Stock that was found: the same with a positive quantity. */
const STOCK_FOUND_SHARE = 0.025;
const NO_DESCRIPTION_SHARE = 0.75;
const BAD_DEBT_SHARE = 0.000_04;
/** Baskets with a line that is no product, such as postage. */
const ODD_CODE_SHARE = 0.04;
/** Baskets of which something comes back. */
const RETURN_SHARE = 0.12;
const RETURNED_LINES_MAX = 3;
const RETURN_DELAY_DAYS_MEAN = 10;
const ODD_PRICE_SIGMA = 0.8;

const ODD = new Weighted(ODD_CODES, ({ weight }) => weight);

/**
 * Generates the invoice lines of a made-up gift shop in the order of time, with the structure that a recommender
 * can learn (tastes, baskets about one kind of goods, companions, repurchases, popularity after Zipf, seasons)
 * and the dirt of the real file. It needs neither a clock nor randomness from outside.
 */
export function* generateLines(options: SeedOptions): Generator<InvoiceLine> {
  const { seed, until, months = 13, customers = 3000, products = 400, lines = 60_000 } = options;
  for (const [name, value] of Object.entries({ months, customers, products, lines })) {
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`${name} is not a positive whole number: ${value}`);
  }
  if (!Number.isSafeInteger(seed)) throw new RangeError(`The seed is not a whole number: ${seed}`);
  const end = until.getTime();
  if (Number.isNaN(end)) throw new RangeError('`until` is not a date.');
  const random = createRandom(seed);
  const days = daysUntil(end, months);
  const shop = new Shop(
    createProducts(products, days.length, random),
    createCustomers(customers, days.length, random),
    end,
    random,
  );
  const weights = days.reduce((sum, { weight }) => sum + weight, 0);
  let due = 0;
  let generated = 0;
  let number = FIRST_INVOICE;
  for (const day of days) {
    if (day.weight <= 0) continue;
    due += (lines * day.weight) / weights;
    for (const { prefix, occurredAt, lines } of shop.trade(day, due - generated)) {
      number += random.chance(SKIPPED_INVOICE_SHARE) ? 2 : 1;
      for (const line of lines) yield { ...line, invoice: `${prefix}${madeUp(number)}`, occurredAt };
      generated += lines.length;
    }
  }
}

class Shop {
  readonly #products: readonly Product[];
  readonly #customers: readonly Customer[];
  readonly #until: number;
  readonly #random: Random;
  #returns: ScheduledReturn[] = [];

  constructor(products: readonly Product[], customers: readonly Customer[], until: number, random: Random) {
    this.#products = products;
    this.#customers = customers;
    this.#until = until;
    this.#random = random;
  }

  /** A day's invoices in the order of time: at least as many as give this number of lines. */
  trade(day: Day, linesMin: number): Draft[] {
    const assortment = new Assortment(this.#products, day);
    const present = this.#customers.filter(
      ({ firstDay, lastDay }) => firstDay <= day.index && day.index <= lastDay,
    );
    const buyers = new Weighted(present, ({ activity }) => activity);
    const drafts: Draft[] = [];
    let lines = 0;
    const add = (prefix: Draft['prefix'], draftLines: Draft['lines']): void => {
      if (draftLines.length === 0) return;
      drafts.push({ occurredAt: openingTime(day, this.#until, this.#random), prefix, lines: draftLines });
      lines += draftLines.length;
    };
    for (const { lines } of this.#returns.filter(({ dueDay }) => dueDay <= day.index)) add('C', lines);
    this.#returns = this.#returns.filter(({ dueDay }) => dueDay > day.index);
    while (lines < linesMin) {
      if (this.#random.chance(WRITE_OFF_SHARE)) add('', [this.#stockLine(assortment, -1)]);
      if (this.#random.chance(STOCK_FOUND_SHARE)) add('', [this.#stockLine(assortment, 1)]);
      if (this.#random.chance(BAD_DEBT_SHARE)) add('A', [this.#badDebt()]);
      const customer = this.#random.chance(STRANGER_SHARE) ? null : buyers.draw(this.#random);
      const [basket, credit] = this.#sell(customer ?? this.#stranger(), assortment, day);
      add('', basket);
      add('C', credit);
    }
    return drafts.sort((one, other) => one.occurredAt - other.occurredAt);
  }

  #stranger(): Customer {
    return createStranger(
      this.#random.logNormal(STRANGER_BASKET_MEDIAN, STRANGER_BASKET_SIGMA),
      this.#random,
    );
  }

  /** The lines of a purchase, and those of a credit note that is written beside it. */
  #sell(customer: Customer, assortment: Assortment, day: Day): [Draft['lines'], Draft['lines']] {
    const random = this.#random;
    const buyer = { customerId: customer.id, country: customer.country };
    const lines = fillBasket(customer, assortment, random).map(({ product, quantity, unitPrice }) => ({
      sku: product.sku,
      description: product.description,
      quantity,
      unitPrice,
      ...buyer,
    }));
    if (customer.id !== null && random.chance(RETURN_SHARE)) {
      const returned = lines.slice(-random.integer(1, RETURNED_LINES_MAX)).map((line) => ({
        ...line,
        quantity: -random.integer(1, line.quantity),
      }));
      const delay = 1 + Math.floor(random.exponential(RETURN_DELAY_DAYS_MEAN));
      this.#returns.push({ dueDay: day.index + delay, lines: returned });
    }
    const odd = random.chance(ODD_CODE_SHARE) ? ODD.draw(random) : null;
    if (odd === null) return [lines, []];
    const unitPrice = Math.max(0.01, Math.round(random.logNormal(odd.price, ODD_PRICE_SIGMA) * 100) / 100);
    const { sku, description, cancelled } = odd;
    const oddLine = { sku: madeUp(sku), description, quantity: cancelled ? -1 : 1, unitPrice, ...buyer };
    return cancelled ? [lines, [oddLine]] : [[...lines, oddLine], []];
  }

  #stockLine(assortment: Assortment, sign: 1 | -1): Draft['lines'][number] {
    const random = this.#random;
    return {
      sku: assortment.draw(null, random)?.sku ?? madeUp('M'),
      description: random.chance(NO_DESCRIPTION_SHARE) ? null : random.pick(STOCK_NOTES),
      quantity: sign * random.integer(1, 120),
      unitPrice: 0,
      customerId: null,
      country: COUNTRIES[0].name,
    };
  }

  #badDebt(): Draft['lines'][number] {
    return {
      sku: madeUp('B'),
      description: 'Debt written off',
      quantity: 1,
      unitPrice: -Math.round(this.#random.logNormal(9000, 1) * 100) / 100,
      customerId: null,
      country: COUNTRIES[0].name,
    };
  }
}

/** A made-up shop: customers with tastes, and two seasons of products. The seed and the time decide every purchase. */
import { type Random, seededRandom } from '../../../../src/platform/random.ts';

const CUSTOMERS = 180;
const TASTES = 8;
const PRODUCTS_OF_TASTE = 12;
/** The share of purchases within a customer's taste. */
const FAITHFUL = 0.85;
/** The share of purchases from the season before, after the new one has begun. */
const LEFT_OVER = 0.1;

export type Season = 'old' | 'new';

export interface MadePurchase {
  readonly customer: string;
  readonly sku: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

export class World {
  readonly #random: Random;
  #invoice = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  customer(): string {
    return customerOf(Math.floor(this.#random() * CUSTOMERS));
  }

  /** Purchases of some time, in its order. @param perSecond of all customers together. */
  purchases(from: number, to: number, perSecond: number, season: Season): MadePurchase[] {
    const made: MadePurchase[] = [];
    const pause = () => (-1_000 / perSecond) * Math.log(1 - this.#random());
    for (let at = from + pause(); at < to; at += pause()) {
      const number = Math.floor(this.#random() * CUSTOMERS);
      const of = season === 'new' && this.#random() < LEFT_OVER ? 'old' : season;
      made.push({ customer: customerOf(number), sku: this.#product(number, of), at: Math.floor(at) });
    }
    return made;
  }

  /** As a CloudEvent that a till of the shop sends. */
  event({ customer, sku, at }: MadePurchase): object {
    this.#invoice += 1;
    return {
      ...{ specversion: '1.0', source: '/demo', id: `${this.#invoice}`, type: 'shop.purchase.v1' },
      time: new Date(at).toISOString(),
      data: {
        ...{ invoice: `D${this.#invoice}`, sku, quantity: 1 + (this.#invoice % 12), unitPrice: 2.5 },
        ...{ customerId: customer, country: 'United Kingdom', description: `Product ${sku}` },
      },
    };
  }

  #product(customer: number, season: Season): string {
    const own = this.#random() < FAITHFUL;
    // A new season divides the customers into other tastes.
    const taste = own ? tasteOf(customer, season) : Math.floor(this.#random() * TASTES);
    // Zipf: the first product of a taste is bought most.
    const place = Math.floor(PRODUCTS_OF_TASTE ** this.#random()) - 1;
    return String((season === 'old' ? 10_000 : 20_000) + taste * 100 + place);
  }
}

function customerOf(number: number): string {
  return `demo-c${number}`;
}

function tasteOf(customer: number, season: Season): number {
  return season === 'old' ? customer % TASTES : Math.floor(customer / TASTES) % TASTES;
}

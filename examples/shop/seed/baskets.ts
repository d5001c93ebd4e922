import type { Day } from './calendar.ts';
import type { Product } from './catalog.ts';
import type { Customer } from './customers.ts';
import { type Random, Weighted } from './random.ts';
import type { Category } from './words.ts';

export interface BasketLine {
  readonly product: Product;
  readonly quantity: number;
  readonly unitPrice: number;
}

/** Mean lines of a basket of a customer with an ordinary one. */
const LINES_MEAN = 7;
const LINES_MAX = 150;
/** The next line goes with the line before it. */
const COMPANION_SHARE = 0.25;
/** The next line was bought by this customer before, if the product is of a kind that is used up. */
const REPURCHASE_SHARE = 0.45;
/** The next line is of the kind that the basket is about. */
const FOCUS_SHARE = 0.7;
/** The same line stands twice in an invoice: measured in the real file. */
const DOUBLED_SHARE = 0.013;
/** Draws for one line before the basket is taken as full: a small taste runs out of products. */
const TRIES_MAX = 8;
const IN_SEASON = 1.6;
const OUT_OF_SEASON = 0.06;
const PIECES: readonly [number, ...number[]] = [1, 1, 1, 1, 2, 2, 3, 4, 6];
const DOZENS: readonly [number, ...number[]] = [3, 4, 6, 6, 8, 10, 12, 12, 12, 24, 24, 48];
const DISCOUNT_FROM_QUANTITY = 24;
const DISCOUNTED = 0.85;

/** What can be bought on one day, and how readily. */
export class Assortment {
  readonly #ofCategory = new Map<Category, Weighted<Product>>();
  readonly #all: Weighted<Product>;
  readonly #day: Day;

  constructor(products: readonly Product[], day: Day) {
    const weightOf = ({ popularity, category }: Product): number =>
      popularity * seasonOf(category, day.month);
    const sold = products.filter(({ launchDay }) => launchDay <= day.index);
    for (const [category, ofCategory] of Map.groupBy(sold, ({ category }) => category)) {
      this.#ofCategory.set(category, new Weighted(ofCategory, weightOf));
    }
    this.#all = new Weighted(sold, weightOf);
    this.#day = day;
  }

  /** A product of the kind, else of any kind. */
  draw(category: Category | null, random: Random): Product | null {
    const ofCategory = category === null ? undefined : this.#ofCategory.get(category);
    return (ofCategory ?? this.#all).draw(random);
  }

  /** Whether a chosen product is sold, and at this time of the year. */
  suits(product: Product): boolean {
    return (
      product.launchDay <= this.#day.index && seasonOf(product.category, this.#day.month) > OUT_OF_SEASON
    );
  }
}

function seasonOf({ season }: Category, month: number): number {
  if (season.length === 0) return 1;
  return season.includes(month) ? IN_SEASON : OUT_OF_SEASON;
}

/** Fills a basket; the customer remembers what was in it. */
export function fillBasket(customer: Customer, assortment: Assortment, random: Random): BasketLine[] {
  const size = Math.min(LINES_MAX, 1 + Math.floor(random.exponential(LINES_MEAN * customer.basket - 0.5)));
  const focus = customer.taste.draw(random);
  const chosen = new Set<Product>();
  const lines: BasketLine[] = [];
  const repeated: BasketLine[] = [];
  let last: Product | null = null;
  for (let tries = 0; lines.length < size && tries < TRIES_MAX; tries += 1) {
    const product = nextProduct(customer, focus, last, assortment, random);
    if (product === null || chosen.has(product)) continue;
    tries = -1;
    chosen.add(product);
    last = product;
    const line = lineOf(product, customer, random);
    lines.push(line);
    if (random.chance(DOUBLED_SHARE)) repeated.push(line);
  }
  customer.bought.push(...chosen);
  return [...lines, ...repeated];
}

function nextProduct(
  { taste, bought }: Customer,
  focus: Category | null,
  last: Product | null,
  assortment: Assortment,
  random: Random,
): Product | null {
  const companion = last?.companion ?? null;
  if (companion !== null && random.chance(COMPANION_SHARE) && assortment.suits(companion)) return companion;
  if (bought.length > 0 && random.chance(REPURCHASE_SHARE)) {
    const known = bought[random.integer(0, bought.length - 1)];
    if (known !== undefined && random.chance(known.category.repeat) && assortment.suits(known)) return known;
  }
  return assortment.draw(random.chance(FOCUS_SHARE) ? focus : taste.draw(random), random);
}

function lineOf(product: Product, { wholesale }: Customer, random: Random): BasketLine {
  const quantity = random.pick(wholesale ? DOZENS : PIECES);
  const factor = quantity >= DISCOUNT_FROM_QUANTITY ? DISCOUNTED : 1;
  return { product, quantity, unitPrice: Math.round(product.price * factor * 100) / 100 };
}

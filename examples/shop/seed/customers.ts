import type { Product } from './catalog.ts';
import { madeUp } from './made-up.ts';
import { type Random, Weighted } from './random.ts';
import { CATEGORIES, type Category, COUNTRIES } from './words.ts';

export interface Customer {
  /** Null for a buyer whom the till does not know. */
  readonly id: string | null;
  readonly country: string;
  /** Kinds of goods, drawn by how much the customer likes them. */
  readonly taste: Weighted<Category>;
  /** How often the customer buys, relative to others. */
  readonly activity: number;
  /** Days of the period, counted from 0, between which the customer buys. */
  readonly firstDay: number;
  readonly lastDay: number;
  /** Mean lines of a basket, relative to others. */
  readonly basket: number;
  /** Shops buy by the dozen, people by the piece. */
  readonly wholesale: boolean;
  /** What was bought so far, once for every line: a frequent product is drawn more often. */
  readonly bought: Product[];
}

const FIRST_ID = 12_001;
/** Customers from before the period. */
const INITIAL_SHARE = 0.4;
const LIFETIME_DAYS_MEAN = 260;
const LIFETIME_DAYS_MIN = 20;
const ACTIVITY_SIGMA = 1.1;
const BASKET_SIGMA = 0.5;
const WHOLESALE_SHARE = 0.35;
/** Weights of the kinds that a customer likes best, second and third; all others share the rest. */
const LIKED: readonly number[] = [0.55, 0.22, 0.1];
const OTHERS_WEIGHT = 0.13;

export function createCustomers(count: number, days: number, random: Random): Customer[] {
  let id = FIRST_ID;
  const countries = new Weighted(COUNTRIES, ({ share }) => share);
  return Array.from({ length: count }, () => {
    id += random.integer(1, 2);
    const firstDay = random.chance(INITIAL_SHARE) ? 0 : random.integer(0, days - 1);
    return {
      id: madeUp(id),
      country: countries.draw(random)?.name ?? COUNTRIES[0].name,
      taste: createTaste(random),
      activity: random.logNormal(1, ACTIVITY_SIGMA),
      firstDay,
      lastDay: firstDay + LIFETIME_DAYS_MIN + random.exponential(LIFETIME_DAYS_MEAN),
      basket: random.logNormal(1, BASKET_SIGMA),
      wholesale: random.chance(WHOLESALE_SHARE),
      bought: [],
    };
  });
}

/** A customer without an account: only this one basket is known. */
export function createStranger(basket: number, random: Random): Customer {
  return {
    id: null,
    country: COUNTRIES[0].name,
    taste: createTaste(random),
    activity: 0,
    firstDay: 0,
    lastDay: 0,
    basket,
    wholesale: false,
    bought: [],
  };
}

function createTaste(random: Random): Weighted<Category> {
  const weights = new Map<Category, number>(
    CATEGORIES.map((category) => [category, OTHERS_WEIGHT / CATEGORIES.length]),
  );
  for (const liking of LIKED) {
    const category = random.pick(CATEGORIES);
    weights.set(category, (weights.get(category) ?? 0) + liking);
  }
  return new Weighted([...weights.keys()], (category) => weights.get(category) ?? 0);
}

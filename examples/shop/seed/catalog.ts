import { madeUp } from './made-up.ts';
import type { Random } from './random.ts';
import { CATEGORIES, type Category, FORMS, PATTERNS } from './words.ts';

export interface Product {
  readonly sku: string;
  readonly description: string;
  readonly category: Category;
  readonly pattern: string;
  readonly price: number;
  /** Weight in a draw among products: falls with the rank as in Zipf's law. */
  readonly popularity: number;
  /** The day of the period, counted from 0, on which it is first sold. */
  readonly launchDay: number;
  /** A product of another form or pattern that goes with it; null where there is none. */
  companion: Product | null;
}

const ZIPF_EXPONENT = 0.9;
/** Flattens the head: the best seller of the real shop has 0.7 % of the lines, not 10 %. */
const ZIPF_OFFSET = 6;
/** Products that are there from the first day. */
const INITIAL_SHARE = 0.7;
/** The last product appears after this share of the period, so that all of them are sold for a while. */
const LAST_LAUNCH = 0.85;
const FIRST_CODE = 20_001;
const CODE_STEP_MAX = 120;
/** Codes with a letter: one pattern or colour of several. */
const LETTER_SHARE = 0.15;
const PRICE_SIGMA = 0.6;
const PRICE_MIN = 0.19;
const NAME_TRIES_MAX = 50;

/** Makes up the goods of a shop; the order of the result is that of the codes, not that of popularity. */
export function createProducts(count: number, days: number, random: Random): Product[] {
  const names = new Set<string>();
  const ranks = shuffled(count, random);
  let code = FIRST_CODE;
  const products = Array.from({ length: count }, (_, index): Product => {
    code += random.integer(1, CODE_STEP_MAX);
    const category = random.pick(CATEGORIES);
    const { pattern, description } = nameOf(category, names, random);
    const price = Math.max(
      PRICE_MIN,
      Math.round(random.logNormal(category.price, PRICE_SIGMA) * 10) / 10 + 0.05,
    );
    return {
      sku: madeUp(`${code}${random.chance(LETTER_SHARE) ? random.pick(['A', 'B', 'C', 'P', 'W']) : ''}`),
      description,
      category,
      pattern,
      price: Math.round(price * 100) / 100,
      popularity: ((ranks[index] ?? 0) + ZIPF_OFFSET) ** -ZIPF_EXPONENT,
      // The first one is there from the start, so that there is always something to sell.
      launchDay:
        index === 0 || random.chance(INITIAL_SHARE) ? 0 : random.integer(1, Math.floor(days * LAST_LAUNCH)),
      companion: null,
    };
  });
  linkCompanions(products);
  return products;
}

function nameOf(
  category: Category,
  names: Set<string>,
  random: Random,
): { pattern: string; description: string } {
  for (let attempt = 0; ; attempt += 1) {
    const pattern = random.pick(PATTERNS);
    const words = [random.pick(FORMS), pattern, random.pick(category.nouns)];
    // Large shops run out of combinations: a number tells the rest apart.
    if (attempt >= NAME_TRIES_MAX) words.push(`NO ${names.size + 1}`);
    const description = words.filter(Boolean).join(' ');
    if (names.has(description)) continue;
    names.add(description);
    return { pattern, description };
  }
}

/** Pairs the products of a kind and pattern in a ring, else those of a kind. */
function linkCompanions(products: readonly Product[]): void {
  const groups = Map.groupBy(products, ({ category, pattern }) => `${category.name} ${pattern}`);
  const kinds = Map.groupBy(products, ({ category }) => category);
  for (const group of [...kinds.values(), ...groups.values()]) {
    if (group.length < 2) continue;
    group.forEach((product, index) => {
      product.companion = group[(index + 1) % group.length] ?? null;
    });
  }
}

/** The numbers 0 to count − 1 in random order (Fisher and Yates). */
function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last -= 1) {
    const other = random.integer(0, last);
    const held = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = held;
  }
  return order;
}

/** Draws numbers from a seed alone: the same seed gives the same draws. */
export interface Random {
  /** A number in [0, 1). */
  fraction(): number;
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number;
  /** Whether something of this probability happens. */
  chance(probability: number): boolean;
  /** One of the items, all equally likely. */
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
  /** Exponentially distributed with this mean. */
  exponential(mean: number): number;
  /** Normally distributed with mean 0 and deviation 1. */
  normal(): number;
  /** Log-normally distributed: half of the draws are below `median`. */
  logNormal(median: number, sigma: number): number;
}

/** Draws that are thrown away, so that seeds next to each other lead to unlike sequences. */
const WARM_UP_DRAWS = 16;

/** Chris Doty-Humphrey's sfc32 ("small fast counter", PractRand): 128 bits of state, period at least 2^32. */
export function createRandom(seed: number): Random {
  let a = seed >>> 0;
  let b = 0x9e3779b9 ^ Math.floor(seed / 0x1_0000_0000);
  let c = 0x243f6a88;
  let counter = 1;
  const fraction = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 0x1_0000_0000;
  };
  for (let draw = 0; draw < WARM_UP_DRAWS; draw += 1) fraction();
  // 1 − fraction is never zero, so the logarithms are finite.
  const exponential = (mean: number): number => -Math.log(1 - fraction()) * mean;
  const normal = (): number => Math.sqrt(2 * exponential(1)) * Math.cos(2 * Math.PI * fraction());
  return {
    fraction,
    integer: (min, max) => min + Math.floor(fraction() * (max - min + 1)),
    chance: (probability) => fraction() < probability,
    pick: (items) => items[Math.floor(fraction() * items.length)] ?? items[0],
    exponential,
    normal,
    logNormal: (median, sigma) => median * Math.exp(sigma * normal()),
  };
}

/** Items that are drawn in proportion to their weights. */
export class Weighted<Item> {
  readonly #items: readonly Item[];
  readonly #cumulative: Float64Array;
  readonly #total: number;

  constructor(items: readonly Item[], weightOf: (item: Item) => number) {
    this.#items = items;
    this.#cumulative = new Float64Array(items.length);
    let total = 0;
    items.forEach((item, index) => {
      total += weightOf(item);
      this.#cumulative[index] = total;
    });
    this.#total = total;
  }

  /** One item, or null if none has a weight. */
  draw(random: Random): Item | null {
    if (this.#total <= 0) return null;
    const point = random.fraction() * this.#total;
    let low = 0;
    let high = this.#items.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#cumulative[middle] ?? 0) > point) high = middle;
      else low = middle + 1;
    }
    return this.#items[low] ?? null;
  }
}

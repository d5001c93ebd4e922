import { hashedFraction, hashText } from '../../platform/random.ts';

/** An item, and the moment from which it was known. */
export interface KnownItem {
  readonly item: string;
  readonly knownAt: number;
}

/** Draws for each sampled item, after which all items are ordered by their hashes instead. */
const DRAWS_PER_ITEM = 8;

/** The items of the label events, by the moments from which they were known. */
export class ItemPool {
  readonly #items: readonly KnownItem[];
  readonly #moments: ReadonlyMap<string, number>;

  constructor(items: Iterable<KnownItem>) {
    this.#items = [...items].sort(
      (a, b) => a.knownAt - b.knownAt || (a.item < b.item ? -1 : a.item > b.item ? 1 : 0),
    );
    this.#moments = new Map(this.#items.map(({ item, knownAt }) => [item, knownAt]));
  }

  /** How many items were known before a moment. */
  countBefore(at: number): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#items[middle]?.knownAt ?? at) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Samples items that were known before a moment, without replacement. The sample depends on the seed, the key, the
   * moment and those items alone, so no row changes which items another row gets.
   *
   * @param except items that are not sampled.
   * @returns the items, and how many there were to choose from.
   */
  sample(
    wanted: number,
    { seed, key, at }: { readonly seed: number; readonly key: string; readonly at: number },
    except: ReadonlySet<string>,
  ): { readonly items: readonly string[]; readonly available: number } {
    const count = this.countBefore(at);
    const available = count - this.#knownAmong(except, at);
    const size = Math.min(wanted, available);
    const basis = hashText(`${seed}:${at}:${key}`);
    const drawn = new Set<string>();
    for (let draw = 0; drawn.size < size && draw < wanted * DRAWS_PER_ITEM; draw += 1) {
      const item = this.#items[Math.floor(hashedFraction(basis, String(draw)) * count)]?.item;
      if (item !== undefined && !except.has(item)) drawn.add(item);
    }
    if (drawn.size < size) for (const item of this.#ordered(basis, count, except, size)) drawn.add(item);
    return { items: [...drawn].slice(0, size), available };
  }

  #knownAmong(except: ReadonlySet<string>, at: number): number {
    let known = 0;
    for (const item of except) if ((this.#moments.get(item) ?? at) < at) known += 1;
    return known;
  }

  /** For few items, or many that are left out: drawing would take long. */
  #ordered(basis: number, count: number, except: ReadonlySet<string>, size: number): string[] {
    return this.#items
      .slice(0, count)
      .filter(({ item }) => !except.has(item))
      .map(({ item }) => ({ item, place: hashedFraction(basis, `:${item}`) }))
      .sort((a, b) => a.place - b.place || (a.item < b.item ? -1 : 1))
      .slice(0, size * 2)
      .map(({ item }) => item);
  }
}

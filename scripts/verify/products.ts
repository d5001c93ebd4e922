import { type Random, systemRandom } from '../../src/platform/random.ts';

/** The things that are written and read. */
export interface Products {
  /** Written by `PUT` all the time; the first are read most. */
  readonly hot: readonly string[];
  /** Absent at first, then made by `PUT` one after the other: `born` have been begun. */
  readonly newcomers: readonly string[];
  born: number;
  /** Inserted, changed and deleted by plain SQL. */
  readonly foreign: readonly string[];
}

const HOT = 32;
const FOREIGN = 8;

export function products(newcomers: number): Products {
  const named = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(5, '0')}`);
  // The prefixes lie apart, so that a page of the list may hold more than one kind.
  return { hot: named('h', HOT), newcomers: named('n', newcomers), born: 0, foreign: named('f', FOREIGN) };
}

/** Everything that may have been written. */
export function allOf({ hot, newcomers, born, foreign }: Products): string[] {
  return [...hot, ...newcomers.slice(0, born), ...foreign];
}

/** An index from 0 to `count` - 1; the k-th is drawn with a probability in proportion to 1 / k (Zipf). */
export function zipf(count: number, random: Random = systemRandom): number {
  // The inverse of the continuous distribution, which is near enough to the discrete one.
  return Math.min(count - 1, Math.floor((count + 1) ** random()) - 1);
}

export function pick<T>(items: readonly T[]): T {
  const item = items[Math.floor(Math.random() * items.length)];
  if (item === undefined) throw new RangeError('There is nothing to pick from.');
  return item;
}

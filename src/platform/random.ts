/**
 * Seeded randomness: the same seed gives the same numbers on every machine, so a training run can be repeated
 * to the last byte.
 */

/** A source of numbers in [0, 1). */
export type Random = () => number;

/** The Mulberry32 generator (T. Ettinger, 2017): 32 bits of state, enough to shuffle and to initialise. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The 32-bit FNV-1a hash of a string's UTF-16 units, continued from `basis`. */
export function hashText(text: string, basis = 0x811c9dc5): number {
  let hash = basis >>> 0;
  for (let position = 0; position < text.length; position += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(position), 0x01000193) >>> 0;
  }
  return hash;
}

/** A number in [0, 1) that depends on the key alone: a draw that no other draw can shift. */
export function hashedFraction(basis: number, text: string): number {
  return seededRandom(hashText(text, basis))();
}

/** Permutes the indices 0 … length − 1 (Fisher and Yates). */
export function shuffledIndices(length: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length }, (_, position) => position);
  for (let last = length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const held = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = held;
  }
  return order;
}

/** The system's own randomness, where nothing has to be repeatable. */
export const systemRandom: Random = Math.random;

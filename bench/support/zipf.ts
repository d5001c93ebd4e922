import type { Random } from '../../src/platform/random.ts';

/**
 * Draws ranks 0 … keys − 1 by Zipf's law: rank r is drawn with a probability in proportion to (r + 1)^−exponent.
 * `zipf.lua` draws by the same law.
 */
export function zipf(keys: number, exponent: number, random: Random): () => number {
  const cumulative = new Float64Array(keys);
  let sum = 0;
  for (let rank = 0; rank < keys; rank += 1) {
    sum += (rank + 1) ** -exponent;
    cumulative[rank] = sum;
  }
  return () => {
    const draw = random() * sum;
    let low = 0;
    let high = keys - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? sum) < draw) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawn, exploringSeed, isLogged } from '../../../../src/inference/feedback/sampling.ts';

const ids = Array.from({ length: 20_000 }, (_, at) => `prediction-${at}`);

describe('the share of answers', () => {
  it.each([0.01, 0.1, 0.5, 1])('that are logged, or explore, is the declared one: %d', (share) => {
    // Five standard deviations of a draw.
    const within = 5 * Math.sqrt((share * (1 - share)) / ids.length);
    const logged = ids.filter((id) => isLogged(share, id)).length / ids.length;
    const explored = ids.filter((id) => exploringSeed({ share, pool: 20 }, id) !== undefined);
    expect(Math.abs(logged - share)).toBeLessThanOrEqual(within);
    expect(Math.abs(explored.length / ids.length - share)).toBeLessThanOrEqual(within);
    // Whether an answer explores says nothing of whether it is logged.
    const both = explored.filter((id) => isLogged(share, id)).length / explored.length;
    expect(Math.abs(both - share)).toBeLessThanOrEqual(
      5 * Math.sqrt((share * (1 - share)) / explored.length),
    );
  });

  it('is decided by the id alone', () => {
    for (const id of ids.slice(0, 50)) {
      expect(isLogged(0.5, id)).toBe(isLogged(0.5, id));
      expect(exploringSeed({ share: 0.5, pool: 5 }, id)).toBe(exploringSeed({ share: 0.5, pool: 9 }, id));
    }
  });
});

describe('an explored answer', () => {
  it('has different items of the pool, as many as are asked for', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(), { maxLength: 30 }), fc.nat(40), fc.nat(), (pool, limit, seed) => {
        const items = drawn(pool, limit, seed);
        expect(items).toHaveLength(Math.min(limit, pool.length));
        expect(new Set(items).size).toBe(items.length);
        expect(items.every((item) => pool.includes(item))).toBe(true);
        expect(drawn(pool, limit, seed)).toEqual(items);
      }),
    );
  });

  it('has each item at each position with the same probability', () => {
    const pool = ['a', 'b', 'c', 'd', 'e'];
    const counts = new Map<string, number>();
    const explored = ids.flatMap((id) => exploringSeed({ share: 0.5, pool: 5 }, id) ?? []);
    for (const seed of explored)
      for (const [position, item] of drawn(pool, 3, seed).entries())
        counts.set(`${item}${position}`, (counts.get(`${item}${position}`) ?? 0) + 1);
    expect(counts.size).toBe(15);
    const deviation = Math.sqrt(explored.length * 0.2 * 0.8);
    for (const count of counts.values())
      expect(Math.abs(count - explored.length / 5)).toBeLessThan(5 * deviation);
  });
});

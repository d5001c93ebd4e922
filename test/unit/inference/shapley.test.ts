import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PLAYERS_MAX, shapleyValues } from '../../../src/inference/explain/shapley.ts';
import { shapleyByOrders } from '../../support/explain/permutations.ts';

const number = fc.double({ min: -1_000, max: 1_000, noNaN: true });
/** The values of all coalitions of some players. */
const games = (max: number) =>
  fc.integer({ min: 0, max }).chain((players) =>
    fc.record({
      players: fc.constant(players),
      values: fc.array(number, { minLength: 2 ** players, maxLength: 2 ** players }),
    }),
  );
const near = (given: number, wanted: number) =>
  Math.abs(given - wanted) <= 1e-8 * Math.max(1, Math.abs(wanted));

it('are those of the definition, averaged over all orders', () => {
  fc.assert(
    fc.property(games(6), ({ players, values }) => {
      const worth = (set: ReadonlySet<number>) =>
        values[[...set].reduce((sum, player) => sum + 2 ** player, 0)] ?? 0;
      const wanted = shapleyByOrders(players, worth);
      const given = shapleyValues(values, players);
      expect(given).toHaveLength(players);
      for (const [player, value] of wanted.entries())
        expect(near(given[player] ?? Number.NaN, value)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

it('add up to the value of all players less that of none', () => {
  fc.assert(
    fc.property(games(PLAYERS_MAX), ({ players, values }) => {
      const total = shapleyValues(values, players).reduce((sum, value) => sum + value, 0);
      expect(Math.abs(total - ((values.at(-1) ?? 0) - (values[0] ?? 0)))).toBeLessThan(1e-6);
    }),
    { numRuns: 40 },
  );
});

it('are 0 for a player that changes nothing, and equal for two that change the same', () => {
  fc.assert(
    fc.property(games(4), number, ({ players, values }, unit) => {
      // Two equal players and one without effect join the game.
      const wider = Array.from({ length: 2 ** (players + 3) }, (_, coalition) => {
        const [one, other] = [(coalition >> players) & 1, (coalition >> (players + 1)) & 1];
        return (values[coalition % 2 ** players] ?? 0) * (1 + one + other) + unit * one * other;
      });
      const given = shapleyValues(wider, players + 3);
      expect(near(given[players + 2] ?? Number.NaN, 0)).toBe(true);
      expect(near(given[players] ?? Number.NaN, given[players + 1] ?? 0)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

it('of a sum are the summands', () => {
  fc.assert(
    fc.property(fc.array(number, { maxLength: PLAYERS_MAX }), (summands) => {
      const values = Array.from({ length: 2 ** summands.length }, (_, coalition) =>
        summands.reduce((sum, summand, player) => sum + ((coalition >> player) & 1) * summand, 0),
      );
      const given = shapleyValues(values, summands.length);
      for (const [player, summand] of summands.entries())
        expect(near(given[player] ?? Number.NaN, summand)).toBe(true);
    }),
    { numRuns: 40 },
  );
});

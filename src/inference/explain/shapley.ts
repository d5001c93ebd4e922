/** The most players that are enumerated: 2^12 coalitions. */
export const PLAYERS_MAX = 12;

/**
 * The exact Shapley values of a game (Shapley, "A value for n-person games", 1953), in double precision. They add up to
 * the value of all players less that of none; a player that never changes the value gets 0.
 *
 * @param values of all 2^players coalitions; bit i of the index says whether player i takes part.
 * @param players at most `PLAYERS_MAX`.
 * @returns one value for each player, in the unit of `values`.
 */
export function shapleyValues(values: ArrayLike<number>, players: number): Float64Array {
  const weights = weightsOf(players);
  const shares = new Float64Array(players);
  for (let coalition = 0; coalition < 2 ** players; coalition += 1) {
    const weight = weights[sizeOf(coalition)] ?? 0;
    const without = values[coalition] ?? 0;
    for (let player = 0; player < players; player += 1) {
      const bit = 1 << player;
      if ((coalition & bit) !== 0) continue;
      shares[player] = (shares[player] ?? 0) + weight * ((values[coalition | bit] ?? 0) - without);
    }
  }
  return shares;
}

/** By the size s of a coalition, the share of orders in which it precedes a given player: s!·(n − s − 1)!/n!. */
function weightsOf(players: number): number[] {
  const weights = [1 / players];
  for (let size = 1; size < players; size += 1)
    weights.push(((weights[size - 1] ?? 0) * size) / (players - size));
  return weights;
}

function sizeOf(coalition: number): number {
  let size = 0;
  for (let rest = coalition; rest !== 0; rest &= rest - 1) size += 1;
  return size;
}

/**
 * The Shapley values by their definition, written naively: what each player adds when it joins, averaged over all orders in
 * which the players can join.
 *
 * @param worth the value of a set of players.
 */
export function shapleyByOrders(players: number, worth: (set: ReadonlySet<number>) => number): number[] {
  const orders = ordersOf(Array.from({ length: players }, (_, player) => player));
  const sums = new Array<number>(players).fill(0);
  for (const order of orders) {
    const joined = new Set<number>();
    for (const player of order) {
      const before = worth(joined);
      joined.add(player);
      sums[player] = (sums[player] ?? 0) + worth(joined) - before;
    }
  }
  return sums.map((sum) => sum / orders.length);
}

function ordersOf(players: readonly number[]): number[][] {
  if (players.length === 0) return [[]];
  return players.flatMap((first) =>
    ordersOf(players.filter((player) => player !== first)).map((rest) => [first, ...rest]),
  );
}

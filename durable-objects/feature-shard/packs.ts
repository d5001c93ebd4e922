/**
 * Cells of one key whose tiles have the same width and number share a row, a pack, because the platform charges for rows:
 * an event that counts in four features then writes one row. A pack is a row of the table `cells` whose column `feature`
 * tells the width instead of a feature. It is negative, so a key's packs come before its other rows. The column `state`
 * holds the cells as JSON, in the order of their features, so equal cells have equal texts.
 *
 * A cell of a feature with items, or with states of many kilobytes, is a row of its own: see `isPacked`.
 */

/** Features whose cells one pack may hold; those with further ids have another pack. */
const PACK_FEATURES_MAX = 32;
/** More packs of one width than there will be. */
const PACKS_OF_WIDTH_MAX = 2 ** 20;

/** The cell of a feature in a pack. The state is left out if there is none. */
type Member = readonly [feature: number, amount: number, lastAt: number, state?: string];

/** What a cell has beside the key, the tile and the item that its row tells. */
export interface PackedCell {
  readonly feature: number;
  readonly amount: number;
  readonly last_at: number;
  readonly state: string;
}

/** The number of the pack that has the cells of a feature, in the column `feature`. */
export function packOf({ id, tileMs }: { readonly id: number; readonly tileMs: number }): number {
  return -1 - tileMs * PACKS_OF_WIDTH_MAX - Math.floor((id - 1) / PACK_FEATURES_MAX);
}

/** Whether a row is a pack, by its column `feature`. */
export function isPack(feature: number): boolean {
  return feature < 0;
}

export function cellsOfPack(text: string): PackedCell[] {
  return (JSON.parse(text) as Member[]).map(([feature, amount, lastAt, state = '']) => ({
    feature,
    amount,
    last_at: lastAt,
    state,
  }));
}

export function packText(cells: readonly PackedCell[]): string {
  const members = cells.map(
    ({ feature, amount, last_at: lastAt, state }): Member =>
      state === '' ? [feature, amount, lastAt] : [feature, amount, lastAt, state],
  );
  return JSON.stringify(members.sort(([a], [b]) => a - b));
}

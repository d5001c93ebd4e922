import { addDigests, EMPTY_DIGEST, type ShardDigest } from '../../src/features/digest.ts';
import { type Cell, mergeCells } from '../../src/features/fold.ts';
import {
  addCells,
  type CellRow,
  COLUMNS,
  cellOf,
  deleteRows,
  type Position,
  positionOf,
  rowsAt,
  type Selected,
} from './cells.ts';
import type { KeptFeatures } from './features.ts';
import { changeTotals } from './generation.ts';
import { changeState, type ShardState } from './state.ts';

/**
 * The release before packs wrote each cell as a row of its own. A cell is in one form at any time: it is packed by the
 * first fold that adds to it, and the rest in bounded steps. Until then reads look for both forms, and flips and sweeps
 * wait. The caller runs each function in a transaction.
 *
 * This function adds cells to a generation as `addCells` does, and packs those of them that have a row of their own.
 */
export function addInEitherForm(
  sql: SqlStorage,
  { horizon, unpacked }: ShardState,
  generation: number,
  features: KeptFeatures,
  cells: readonly Cell[],
): ShardDigest {
  const context = { features, horizon };
  if (unpacked === null) return addCells(sql, generation, mergeCells(cells), context);
  const merged = mergeCells(cells);
  const places = merged.flatMap(({ key, feature: name, bucket }): Position[] => {
    const feature = features.named(name);
    return feature === undefined || feature.pack === null ? [] : [[key, feature.id, bucket, '']];
  });
  const rows = rowsAt(sql, generation, places).map(({ row }) => row);
  const alone = rows.map((row) => cellOf(row, features));
  const change = deleteRows(sql, generation, rows, features);
  return addDigests([change, addCells(sql, generation, mergeCells([...alone, ...merged]), context)]);
}

/** Packs the cells of at most `limit` further rows. */
export function packPart(sql: SqlStorage, state: ShardState, features: KeptFeatures, limit: number): void {
  if (state.unpacked === null) return;
  const found = sql
    .exec<Selected & { generation: number }>(
      `select generation, ${COLUMNS} from cells
       where (generation, key, feature, bucket, item) > (?, ?, ?, ?, ?)
       order by generation, key, feature, bucket, item limit ?`,
      ...(JSON.parse(state.unpacked) as [number, ...Position]),
      limit,
    )
    .toArray();
  // Rows of stale generations are deleted, and rows of retired features by the sweep.
  for (const generation of new Set([state.served, state.next ?? state.served])) {
    const rows = found
      .filter((row) => row.generation === generation && features.isCurrentPacked(row.feature))
      .map(({ generation: _, ...row }): CellRow => row);
    if (rows.length === 0) continue;
    const cells = rows.map((row) => cellOf(row, features));
    const removed = deleteRows(sql, generation, rows, features);
    const change = addDigests([
      removed,
      addCells(sql, generation, cells, { features, horizon: state.horizon }),
    ]);
    if (JSON.stringify(change) !== JSON.stringify(EMPTY_DIGEST)) changeTotals(sql, generation, change);
  }
  const last = found.length < limit ? undefined : found.at(-1);
  changeState(sql, state, {
    unpacked: last === undefined ? null : JSON.stringify([last.generation, ...positionOf(last)]),
  });
}

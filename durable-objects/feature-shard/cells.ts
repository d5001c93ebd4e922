import { addDigests, DigestTally, type ShardDigest } from '../../src/features/digest.ts';
import { type Cell, mergedCell } from '../../src/features/fold.ts';
import { tilesRead } from '../../src/features/retention.ts';
import { SQL_VALUE_BYTES_MAX } from '../../src/platform/limits.ts';
import type { KeptFeature, KeptFeatures } from './features.ts';
import { cellsOfPack, isPack, type PackedCell, packText } from './packs.ts';

/** A row of the table `cells`, without its generation: one cell, or a pack of them. */
export interface CellRow extends PackedCell {
  readonly key: string;
  readonly bucket: number;
  readonly item: string;
}
export type Selected = { [Column in keyof CellRow]: CellRow[Column] };

/** Where a row stands in a generation: rows are ordered by these four. */
export type Position = readonly [key: string, feature: number, bucket: number, item: string];

/** Before the first row of a generation. */
export const BEGINNING: Position = ['', Number.MIN_SAFE_INTEGER, 0, ''];

/** Bytes of a row's position as JSON, at most. */
const POSITION_BYTES_MAX = 1_024;
/** Positions of one statement: they are one parameter. */
const STATEMENT_ROWS_MAX = Math.floor(SQL_VALUE_BYTES_MAX / POSITION_BYTES_MAX);
/** Bytes of a UTF-16 unit as UTF-8, at most. */
const UNIT_BYTES_MAX = 3;

export const COLUMNS = 'key, feature, bucket, item, amount, last_at, state';

export function positionOf({ key, feature, bucket, item }: CellRow): Position {
  return [key, feature, bucket, item];
}

export function cellOf({ last_at: lastAt, ...row }: CellRow, features: KeptFeatures): Cell {
  return { ...row, feature: features.nameOf(row.feature), lastAt };
}

/** The cells of a row, each as a row that it would have alone. */
export function cellsOfRow(row: CellRow): readonly CellRow[] {
  if (!isPack(row.feature)) return [row];
  const { key, bucket, item } = row;
  return cellsOfPack(row.state).map((cell) => ({ key, bucket, item, ...cell }));
}

/** The row that has these cells of one pack, or of one place. */
function rowWith([key, feature, bucket, item]: Position, cells: readonly PackedCell[]): CellRow {
  const place = { key, feature, bucket, item };
  if (isPack(feature)) return { ...place, amount: 0, last_at: 0, state: packText(cells) };
  const [{ amount, last_at, state } = { amount: 0, last_at: 0, state: '' }] = cells;
  return { ...place, amount, last_at, state };
}

/** Cells that are added to one row. */
interface Addition {
  readonly place: Position;
  readonly cells: { readonly id: number; readonly cell: Cell }[];
}

/**
 * Adds cells of different identity to a generation, and returns by how much its digest changes. Expired cells are left
 * out. Rows are passed to SQLite as one JSON text, because a statement per row would be slower.
 */
export function addCells(
  sql: SqlStorage,
  generation: number,
  cells: readonly Cell[],
  { features, horizon }: { readonly features: KeptFeatures; readonly horizon: number },
): ShardDigest {
  const tally = new DigestTally();
  const additions = new Map<string, Addition>();
  for (const cell of cells) {
    const feature = features.named(cell.feature);
    if (feature === undefined || features.isExpired(feature.id, cell.bucket, horizon)) continue;
    const { id, pack } = feature;
    const place: Position = [cell.key, pack ?? id, cell.bucket, pack === null ? cell.item : ''];
    const row = JSON.stringify(place);
    const addition = additions.get(row) ?? { place, cells: [] };
    addition.cells.push({ id, cell });
    additions.set(row, addition);
  }
  const wanted = [...additions.values()];
  const places = wanted.map(({ place }) => place);
  const present = new Map(rowsAt(sql, generation, places).map(({ at, row }) => [at, row]));
  writeRows(
    sql,
    generation,
    wanted.map((addition, at) => rowAfter(addition, present.get(at), tally)),
  );
  return tally.change;
}

/** The row after the addition. The digest is brought up to date with each cell. */
function rowAfter({ place, cells }: Addition, row: CellRow | undefined, tally: DigestTally): CellRow {
  const own = new Map<number, PackedCell>(
    row === undefined ? [] : cellsOfRow(row).map((cell) => [cell.feature, cell]),
  );
  for (const { id, cell } of cells) {
    const known = own.get(id);
    const before = known && { ...cell, amount: known.amount, lastAt: known.last_at, state: known.state };
    const after = before === undefined ? cell : mergedCell(before, cell);
    if (before === undefined) tally.add(after);
    else tally.replace(before, after);
    own.set(id, { feature: id, amount: after.amount, last_at: after.lastAt, state: after.state });
  }
  return rowWith(place, [...own.values()]);
}

/** Those of these places that have a row in a generation, each with its place in the list. */
export function rowsAt(
  sql: SqlStorage,
  generation: number,
  places: readonly Position[],
): { readonly at: number; readonly row: CellRow }[] {
  const found: { at: number; row: CellRow }[] = [];
  for (let from = 0; from < places.length; from += STATEMENT_ROWS_MAX) {
    const rows = sql
      .exec<Selected & { at: number }>(
        `select wanted.key as at, c.${COLUMNS.replaceAll(', ', ', c.')} from json_each(?) wanted cross join cells c
         on c.generation = ? and c.key = wanted.value ->> 0 and c.feature = wanted.value ->> 1
           and c.bucket = wanted.value ->> 2 and c.item = wanted.value ->> 3`,
        JSON.stringify(places.slice(from, from + STATEMENT_ROWS_MAX)),
        generation,
      )
      .toArray();
    for (const { at, ...row } of rows) found.push({ at: from + at, row });
  }
  return found;
}

/** Writes rows of different places, whether they are new or not. */
function writeRows(sql: SqlStorage, generation: number, rows: readonly CellRow[]): void {
  let texts: string[] = [];
  let bytes = 0;
  const write = () => {
    if (texts.length > 0)
      sql.exec(
        `insert into cells (generation, ${COLUMNS})
         select ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
         from json_each(?) where true
         on conflict (generation, key, feature, bucket, item)
         do update set amount = excluded.amount, last_at = excluded.last_at, state = excluded.state`,
        generation,
        `[${texts.join()}]`,
      );
    texts = [];
    bytes = 0;
  };
  for (const row of rows) {
    const text = JSON.stringify([...positionOf(row), row.amount, row.last_at, row.state]);
    const more = (text.length + 1) * UNIT_BYTES_MAX;
    if (bytes + more > SQL_VALUE_BYTES_MAX - UNIT_BYTES_MAX) write();
    texts.push(text);
    bytes += more;
  }
  write();
}

/**
 * The cells of some features of one key that reads as of `now` need, with their features' names.
 *
 * @param of slots of these features; all served ones if it is left out.
 * @param isUnpacked whether rows of the release before packs may be left: then a cell may be in either form.
 */
export function cellsOfKey(
  sql: SqlStorage,
  generation: number,
  key: string,
  {
    features,
    of: served = features.served,
    now,
    isUnpacked,
  }: {
    readonly features: KeptFeatures;
    readonly of?: readonly KeptFeature[];
    readonly now: number;
    readonly isUnpacked: boolean;
  },
): Cell[] {
  const windows = new Map(served.map((feature) => [feature.id, tilesRead(feature, now)]));
  const alone = served.filter(({ pack }) => pack === null || isUnpacked);
  const packed = Map.groupBy(
    served.filter(({ pack }) => pack !== null),
    ({ pack }) => pack ?? 0,
  );
  const ranges = [
    ...[...packed].map(([pack, of]) => {
      const tiles = of.map((feature) => tilesRead(feature, now));
      return { feature: pack, from: Math.min(...tiles.map(({ from }) => from)), to: tiles[0]?.to ?? 0 };
    }),
    ...alone.map((feature) => ({ feature: feature.id, ...tilesRead(feature, now) })),
  ];
  // A statement for each range: a join with a list of them would count the rows of the list, too.
  return ranges.flatMap(({ feature, from, to }) =>
    sql
      .exec<Selected>(
        `select ${COLUMNS} from cells where generation = ? and key = ? and feature = ? and bucket between ? and ?`,
        generation,
        key,
        feature,
        from,
        to,
      )
      .toArray()
      .flatMap(cellsOfRow)
      // A pack also has cells of features with shorter windows, and of those that are not asked for.
      .filter((cell) => cell.bucket >= (windows.get(cell.feature)?.from ?? Number.POSITIVE_INFINITY))
      .map((cell) => cellOf(cell, features)),
  );
}

/** Rows of a generation after a position, in order: up to `until`, and at most `limit`. */
export function pageOf(
  sql: SqlStorage,
  generation: number,
  {
    after,
    until,
    limit,
  }: { readonly after: Position; readonly until?: Position | undefined; readonly limit: number },
): CellRow[] {
  return sql
    .exec<Selected>(
      `select ${COLUMNS} from cells
       where generation = ? and (key, feature, bucket, item) > (?, ?, ?, ?)
         ${until === undefined ? '' : 'and (key, feature, bucket, item) <= (?, ?, ?, ?)'}
       order by key, feature, bucket, item limit ?`,
      generation,
      ...after,
      ...(until ?? []),
      limit,
    )
    .toArray();
}

/** Deletes rows of a generation, and returns by how much its digest changes. */
export function deleteRows(
  sql: SqlStorage,
  generation: number,
  rows: readonly CellRow[],
  features: KeptFeatures,
): ShardDigest {
  for (let from = 0; from < rows.length; from += STATEMENT_ROWS_MAX)
    sql.exec(
      `delete from cells where (generation, key, feature, bucket, item) in
         (select ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?))`,
      generation,
      JSON.stringify(rows.slice(from, from + STATEMENT_ROWS_MAX).map(positionOf)),
    );
  const tally = new DigestTally();
  for (const row of rows.flatMap(cellsOfRow)) tally.remove(cellOf(row, features));
  return tally.change;
}

/**
 * Deletes the expired cells of some rows, and returns the rows that are left with what is left in them, and by how much
 * the digest changes.
 */
export function deleteExpired(
  sql: SqlStorage,
  generation: number,
  rows: readonly CellRow[],
  { features, horizon }: { readonly features: KeptFeatures; readonly horizon: number },
): { readonly left: CellRow[]; readonly change: ShardDigest } {
  const gone: CellRow[] = [];
  const shorter: CellRow[] = [];
  const tally = new DigestTally();
  const left = rows.flatMap((row) => {
    const cells = cellsOfRow(row);
    const [expired, kept] = partition(cells, ({ feature, bucket }) =>
      features.isExpired(feature, bucket, horizon),
    );
    if (expired.length === 0) return [row];
    if (kept.length === 0) {
      gone.push(row);
      return [];
    }
    for (const cell of expired) tally.remove(cellOf(cell, features));
    const after = rowWith(positionOf(row), kept);
    shorter.push(after);
    return [after];
  });
  writeRows(sql, generation, shorter);
  return { left, change: addDigests([tally.change, deleteRows(sql, generation, gone, features)]) };
}

function partition<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

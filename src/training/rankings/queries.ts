/** The queries of a ranking: an entity at a moment, with what it was known to like, and what it took in the time after. */
import { type FileMetaData, parquetReadObjects } from 'hyparquet';
import type { RankingModel } from '../../define/model.ts';
import type { DatasetFile } from '../datasets/manifest.ts';
import { wholeFile } from '../datasets/whole-file.ts';

export interface Query {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly key: string;
  /** By the names of the declaration, as `assemble` takes them. */
  readonly features: Readonly<Record<string, unknown>>;
  /** The items of the time after; at least one. */
  readonly taken: ReadonlySet<string>;
}

/**
 * The queries of a file of a dataset, in the order of its rows: by moment and key. One row group is decoded at a time.
 *
 * @throws TrainingRefused `invalid_columns` if it has other rows than the manifest says.
 */
export async function* queriesOf(
  definition: RankingModel,
  file: DatasetFile,
  bytes: Uint8Array<ArrayBuffer>,
): AsyncGenerator<Query, void> {
  const { buffer, metadata } = wholeFile(file, bytes);
  let open: OpenQuery | undefined;
  for await (const row of rowsOf(definition, buffer, metadata)) {
    const at = Number(row['at']);
    const key = String(row[definition.entity.name]);
    if (open === undefined || open.at !== at || open.key !== key) {
      if (open !== undefined && open.taken.size > 0) yield closed(definition, open);
      open = { at, key, row, taken: new Set() };
    }
    if (Number(row['label']) > 0) open.taken.add(String(row[definition.itemEntity.name]));
  }
  if (open !== undefined && open.taken.size > 0) yield closed(definition, open);
}

type Row = Readonly<Record<string, unknown>>;

interface OpenQuery {
  readonly at: number;
  readonly key: string;
  /** The first row: all of a query have the same features. */
  readonly row: Row;
  readonly taken: Set<string>;
}

async function* rowsOf(
  { entity, itemEntity, features }: RankingModel,
  file: ArrayBuffer,
  metadata: FileMetaData,
): AsyncGenerator<Row, void> {
  const columns = ['at', entity.name, itemEntity.name, 'label', ...Object.keys(features)];
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    yield* await parquetReadObjects({ file, metadata, columns, rowStart, rowEnd });
    rowStart = rowEnd;
  }
}

function closed({ features }: RankingModel, { at, key, row, taken }: OpenQuery): Query {
  const values = Object.keys(features).map((name) => [name, featureOf(row[name])]);
  return { at, key, taken, features: Object.fromEntries(values) };
}

/** A list or a text is a JSON text in the file. */
function featureOf(value: unknown): unknown {
  return typeof value === 'string' ? JSON.parse(value) : (value ?? null);
}

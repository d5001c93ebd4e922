import * as z from 'zod';
import { sha256Hex } from '../../platform/digest.ts';
import type { DatasetColumn } from './columns.ts';
import { DATASET_FORMAT, DatasetSpec, SPLITS, SplitBounds } from './spec.ts';

export const DatasetFile = z.strictObject({
  name: z.string(),
  split: z.enum(SPLITS),
  rows: z.int(),
  bytes: z.int(),
  sha256: z.string(),
  /** The first and the last moment of its rows, in milliseconds since the Unix epoch. */
  from: z.int(),
  to: z.int(),
});
export type DatasetFile = z.output<typeof DatasetFile>;

const Column = z.strictObject({
  name: z.string(),
  role: z.string(),
  type: z.string(),
  /** The feature's read name, and the digest of its definition; null for a column that is no feature. */
  feature: z
    .strictObject({
      entity: z.string(),
      name: z.string(),
      digest: z.string(),
      /** For a feature over a column: its values are known since its capture began, and are null before. */
      known: z.literal('since_capture').optional(),
    })
    .nullable(),
  /** What the model's input has for a missing value: a number as text, because JSON has no NaN; null for none. */
  default: z.string().nullable(),
});

/** What a dataset consists of and how it came about. All moments are in milliseconds since the Unix epoch. */
export const DatasetManifest = z.strictObject({
  format: z.literal(DATASET_FORMAT),
  id: z.string(),
  /** With it the dataset can be made again. */
  spec: DatasetSpec,
  columns: z.array(Column),
  rows: z.strictObject({ train: z.int(), validation: z.int(), test: z.int() }),
  /** The bounds of the splits. */
  bounds: SplitBounds,
  /** Label events of the time range. */
  labelEvents: z.int(),
  files: z.array(DatasetFile),
  /** Of the columns and of the files' bytes. */
  digest: z.string(),
  /** The scores of the event types when it was begun; null if they were not known. It is no part of the digest. */
  quality: z.unknown(),
  /** The release that made it. It is no part of the digest. */
  codeVersion: z.string(),
});
export type DatasetManifest = z.output<typeof DatasetManifest>;
export type ManifestColumn = z.output<typeof Column>;

/** A dataset's columns as its manifest has them. */
export function describedColumns(
  columns: readonly DatasetColumn[],
  digestOf: (column: NonNullable<DatasetColumn['reference']>) => string,
): ManifestColumn[] {
  return columns.map(({ name, role, type, reference, default: missing }) => ({
    ...{ name, role, type },
    feature:
      reference === undefined
        ? null
        : {
            entity: reference.entity.name,
            name: reference.readName,
            digest: digestOf(reference),
            ...(reference.feature.column === undefined ? {} : { known: 'since_capture' as const }),
          },
    default: missing === undefined ? null : String(missing),
  }));
}

/** The digest of a dataset. Equal datasets have equal digests, wherever and whenever they were made. */
export async function datasetDigest(
  columns: readonly ManifestColumn[],
  files: readonly DatasetFile[],
): Promise<string> {
  const content = files.map(({ name, rows, sha256 }) => [name, rows, sha256]);
  return await sha256Hex(JSON.stringify([DATASET_FORMAT, columns, content]));
}

export function fileName(split: (typeof SPLITS)[number], part: number): string {
  return `${split}-${String(part).padStart(5, '0')}.parquet`;
}

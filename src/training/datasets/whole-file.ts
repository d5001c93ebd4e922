import { type FileMetaData, parquetMetadata } from 'hyparquet';
import { TrainingRefused } from '../refusal.ts';
import type { DatasetFile } from './manifest.ts';

/** A file of a dataset in memory, with what its end says of it. */
export interface WholeFile {
  readonly buffer: ArrayBuffer;
  readonly metadata: FileMetaData;
}

/** @throws TrainingRefused `invalid_columns` if it has other rows than the manifest says. */
export function wholeFile(file: DatasetFile, bytes: Uint8Array<ArrayBuffer>): WholeFile {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const metadata = parquetMetadata(buffer);
  if (Number(metadata.num_rows) !== file.rows)
    throw new TrainingRefused(
      'invalid_columns',
      `${file.name} has ${metadata.num_rows} rows, not ${file.rows}.`,
    );
  return { buffer, metadata };
}

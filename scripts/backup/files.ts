import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { appendFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip, gzipSync } from 'node:zlib';
import * as z from 'zod';
import { digestedPart, RowsDigest, sha256 } from './digest.ts';
import { damaged, type StoreOfBackup } from './manifest.ts';

/** Appends a page of rows, as a member of its own of the file's gzip stream. @returns the length of the file then. */
export async function appendPage(file: string, rows: readonly string[]): Promise<number> {
  await appendFile(file, gzipSync(rows.map((row) => `${row}\n`).join('')), { mode: 0o600 });
  return statSync(file).size;
}

/** Cuts what a broken-off run has appended and not recorded. */
export async function cutTo(file: string, bytes: number): Promise<void> {
  if (existsSync(file)) await truncate(file, bytes);
}

/** The rows of a file. @throws ContinuityError `backup_damaged` if it is not whole. */
export async function* rowsOf(file: string): AsyncGenerator<string> {
  if (!existsSync(file) || statSync(file).size === 0) return;
  const source = createReadStream(file);
  const plain = source.pipe(createGunzip());
  source.on('error', (error) => plain.destroy(error));
  try {
    for await (const line of createInterface({ input: plain, crlfDelay: Number.POSITIVE_INFINITY }))
      yield line;
  } catch (error) {
    throw damaged(file, error instanceof Error ? error.message : 'it cannot be read');
  }
}

/**
 * Reads a file of the backup, and compares it with what the manifest says of it.
 *
 * @throws ContinuityError `backup_damaged` if a byte, a row or a column is missing, more or another one.
 */
export async function checkFile(folder: string, store: StoreOfBackup): Promise<void> {
  const file = join(folder, store.file);
  const { size, digest } = await fileDigest(file);
  if (size !== store.bytes) throw damaged(store.file, `it has ${size} bytes instead of ${store.bytes}`);
  if (digest !== store.sha256) throw damaged(store.file, 'its SHA-256 is not the one of the manifest');
  const found = new RowsDigest();
  const left = unsettledOf(store);
  for await (const row of rowsOf(file)) {
    if (valuesOf(row)?.length !== store.columns.length)
      throw damaged(store.file, `row ${found.rows + 1} has not ${store.columns.length} columns`);
    found.add(digestedPart(row, left));
  }
  if (found.rows !== store.rows)
    throw damaged(store.file, `it has ${found.rows} rows instead of ${store.rows}`);
  if (found.digest !== store.digest) throw damaged(store.file, 'its rows are not those of the manifest');
}

/** The positions of the columns that do not count in the digest. */
export function unsettledOf({ columns, unsettled }: Pick<StoreOfBackup, 'columns' | 'unsettled'>): number[] {
  return columns.flatMap(({ name }, index) => (unsettled.includes(name) ? [index] : []));
}

const Values = z.array(z.string().nullable());

function valuesOf(row: string): readonly (string | null)[] | undefined {
  try {
    return Values.safeParse(JSON.parse(row)).data;
  } catch {
    return undefined;
  }
}

/** The length and the SHA-256 of a file; that of an empty one if it is not there. */
export async function fileDigest(file: string): Promise<{ size: number; digest: string }> {
  return existsSync(file)
    ? { size: statSync(file).size, digest: sha256(readFileSync(file)) }
    : { size: 0, digest: sha256('') };
}

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const MB = 1024 * 1024;

/** The bytes of a Postgres data folder, and how many of them are its write-ahead log. */
export function folderSizes(dataDir: string): string {
  const all = bytesOf(dataDir);
  const wal = bytesOf(join(dataDir, 'pg_wal'));
  return `${(all / MB).toFixed(0)} MB, of which ${(wal / MB).toFixed(0)} MB write-ahead log`;
}

function bytesOf(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    bytes += entry.isDirectory() ? bytesOf(path) : statSync(path).size;
  }
  return bytes;
}

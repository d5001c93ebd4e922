import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasEntries } from './folder.ts';

/** The state folder is not whole. */
export class DamagedState extends Error {}

export const BEGIN_ANEW =
  'To begin anew, start with --fresh: it deletes the database, the features, the caches and the key there.';

/** Files without which no Postgres opens its folder. */
const POSTGRES_FILES = ['PG_VERSION', 'global/pg_control'] as const;
/** SQLite's header: 100 bytes, of which the first 16 are this text. */
const SQLITE_MAGIC = 'SQLite format 3\0';
const SQLITE_HEADER_BYTES = 100;

/**
 * Looks over a state folder before anything opens it.
 *
 * @returns whether the worker's part (features, caches, models) is missing, so that it has to be made anew.
 * @throws DamagedState that names what is damaged and what to do.
 */
export function assertWhole(stateDir: string, { isEmbedded }: { readonly isEmbedded: boolean }): boolean {
  for (const name of ['database', 'catalog']) assertClaim(join(stateDir, name));
  const hasWorker = hasEntries(join(stateDir, 'worker'));
  const isKnown = existsSync(join(stateDir, 'database'));
  if (isEmbedded && (isKnown || hasWorker)) assertPostgres(stateDir, { isKnown, hasWorker });
  for (const file of sqliteFiles(join(stateDir, 'worker'))) assertSqlite(file, stateDir);
  return !hasWorker;
}

/** A claim is one line of text. */
function assertClaim(path: string): void {
  if (!existsSync(path)) return;
  const text = readFileSync(path, 'utf8');
  if (/^[\x20-\x7e\u00a0-\uffff]+\n?$/.test(text) && text.trim() !== '' && !text.includes('\ufffd')) return;
  throw new DamagedState(
    `${path} is damaged: it must name in one line what the folder belongs to. Put its copy back, or: ${BEGIN_ANEW}`,
  );
}

function assertPostgres(
  stateDir: string,
  { isKnown, hasWorker }: { readonly isKnown: boolean; readonly hasWorker: boolean },
): void {
  const folder = join(stateDir, 'postgres');
  if (!hasEntries(folder)) {
    // A start that was interrupted before the database was there left nothing behind.
    if (!hasWorker && isKnown) return;
    throw new DamagedState(
      `${stateDir}/ has features and caches (${stateDir}/worker), and its Postgres is missing (${folder}). Put its copy back, or: ${BEGIN_ANEW}`,
    );
  }
  const lacking = POSTGRES_FILES.filter((file) => sizeOf(join(folder, file)) === 0);
  if (lacking.length > 0)
    throw new DamagedState(
      `The Postgres in ${folder} is damaged: ${lacking.join(' and ')} is missing or empty. Put its copy back, or: ${BEGIN_ANEW}`,
    );
}

/** The message for a database that does not open although its files are there. */
export function unopened(folder: string, error: unknown): DamagedState {
  const cause = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return new DamagedState(
    `The Postgres in ${folder} does not open (${cause}): its files are damaged. Put its copy back, or: ${BEGIN_ANEW}`,
  );
}

function assertSqlite(file: string, stateDir: string): void {
  const fault = sqliteFault(headerOf(file), sizeOf(file), sizeOf(`${file}-wal`) > 0);
  if (fault === undefined) return;
  throw new DamagedState(
    `${file} is damaged: ${fault}. Delete ${stateDir}/worker: the next start makes features and caches anew from the ` +
      'database. Models that you published have to be published again.',
  );
}

/** What is wrong with the file of a SQLite database, as far as its header and its size tell; undefined for nothing. */
export function sqliteFault(header: Uint8Array, bytes: number, hasWal: boolean): string | undefined {
  if (bytes === 0) return hasWal ? 'it is empty' : undefined;
  if (bytes < SQLITE_HEADER_BYTES || new TextDecoder().decode(header.subarray(0, 16)) !== SQLITE_MAGIC)
    return 'it is not a SQLite database';
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  // The page size, in which 1 stands for 65,536. The page count holds only if the two change counters agree.
  const pageBytes = view.getUint16(16) === 1 ? 65_536 : view.getUint16(16);
  const isCounted = view.getUint32(24) === view.getUint32(92);
  const expected = pageBytes * view.getUint32(28);
  return isCounted && !hasWal && bytes < expected ? `it has ${bytes} of its ${expected} bytes` : undefined;
}

function headerOf(file: string): Uint8Array {
  const header = new Uint8Array(SQLITE_HEADER_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, header);
  } finally {
    closeSync(descriptor);
  }
  return header;
}

function sqliteFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.sqlite'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

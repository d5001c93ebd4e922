import { createHash, randomUUID } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  openAsBlob,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import * as z from 'zod';
import { migratePglite } from '../../../scripts/dev/database/migrations.ts';

const ROOT = join(import.meta.dirname, '../../..');
const CACHE = join(ROOT, 'node_modules/.cache/millrace');
/** An image has 40 MB, and each change of a migration makes another. One that is still needed is made again. */
const AGE_MS_MAX = 7 * 24 * 60 * 60 * 1_000;

/** Options of `startDevDatabase`. */
interface MemoryDatabase {
  readonly dataDir: 'memory://';
  readonly image: string;
  readonly migrationsDir: string;
}

/**
 * Options of `startDevDatabase` for an embedded database that is forgotten on close.
 *
 * It begins with an image: a file that is made once for each state of the migrations and kept for later runs. To load it
 * takes a third of the CPU time of `initdb` and the migrations, which each of some fifty test files would run.
 */
export async function memoryDatabase(migrationsDir: string): Promise<MemoryDatabase> {
  const empty = await imageOf(`empty-${pgliteVersion()}`, () => PGlite.create('memory://'));
  const image = await imageOf(`migrated-${digestOf(migrationsDir)}`, async () => {
    const database = await PGlite.create('memory://', { loadDataDir: await openAsBlob(empty) });
    await migratePglite(database, migrationsDir);
    return database;
  });
  return { dataDir: 'memory://', image, migrationsDir };
}

/**
 * The file of an image, which is made if it is not there. Another process may make the same file at the same time: the
 * first one keeps its name, because a file that is replaced while a reader has it open as a blob cannot be read any more.
 */
async function imageOf(name: string, make: () => Promise<PGlite>): Promise<string> {
  const file = join(CACHE, `${name}.tar`);
  if (existsSync(file)) return file;
  mkdirSync(CACHE, { recursive: true });
  removeOld();
  const database = await make();
  const image = await database.dumpDataDir('none');
  await database.close();
  const own = `${file}.${randomUUID()}`;
  writeFileSync(own, new Uint8Array(await image.arrayBuffer()));
  linkUnlessThere(own, file);
  rmSync(own);
  return file;
}

/** Gives a file a second name, unless another file has that name. */
export function linkUnlessThere(own: string, name: string): void {
  try {
    linkSync(own, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

function removeOld(): void {
  for (const name of readdirSync(CACHE)) {
    const file = join(CACHE, name);
    const found = statSync(file, { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > AGE_MS_MAX) rmSync(file, { force: true });
  }
}

/** What a migrated database is made of: the embedded Postgres, both folders of migrations, and the code that applies them. */
function digestOf(migrationsDir: string): string {
  const hash = createHash('sha256').update(pgliteVersion());
  for (const folder of ['migrations', migrationsDir, 'scripts/dev/database'].map((path) =>
    resolve(ROOT, path),
  ))
    for (const file of filesIn(folder)) hash.update(relative(folder, file)).update(readFileSync(file));
  return hash.digest('hex').slice(0, 32);
}

/** The files of a folder and of the folders in it. A catalog without tables has no folder. */
function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** The package does not export its own package.json. */
function pgliteVersion(): string {
  const text = readFileSync(join(ROOT, 'node_modules/@electric-sql/pglite/package.json'), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, openAsBlob, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import * as z from 'zod';
import { migratePglite } from '../../../scripts/dev/database/migrations.ts';
import { hashFiles, KEPT, removeOld } from './kept-files.ts';

const ROOT = join(import.meta.dirname, '../../..');

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
  const file = join(KEPT, `${name}.tar`);
  if (existsSync(file)) return file;
  mkdirSync(KEPT, { recursive: true });
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

/** What a migrated database is made of: the embedded Postgres, both folders of migrations, and the code that applies them. */
function digestOf(migrationsDir: string): string {
  const hash = createHash('sha256').update(pgliteVersion());
  hashFiles(hash, ['migrations', migrationsDir, 'scripts/dev/database']);
  return hash.digest('hex').slice(0, 32);
}

/** The package does not export its own package.json. */
function pgliteVersion(): string {
  const text = readFileSync(join(ROOT, 'node_modules/@electric-sql/pglite/package.json'), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

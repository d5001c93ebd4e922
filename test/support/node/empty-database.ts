import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { TestProject } from 'vitest/node';
import * as z from 'zod';

declare module 'vitest' {
  interface ProvidedContext {
    /** The file of an empty embedded database. */
    readonly emptyDatabase: string;
  }
}

const ROOT = join(import.meta.dirname, '../../..');

/**
 * Makes an empty embedded database once, and keeps it as a file for all runs with this version of PGlite. To load it
 * takes a quarter of the CPU time of `initdb`, which each of some fifty test files would run.
 */
export default async function setup({ provide }: TestProject): Promise<void> {
  // The package does not export its own package.json.
  const text = readFileSync(join(ROOT, 'node_modules/@electric-sql/pglite/package.json'), 'utf8');
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(text));
  const file = join(ROOT, 'node_modules/.cache/millrace', `empty-pglite-${version}.tar`);
  if (statSync(file, { throwIfNoEntry: false }) === undefined) {
    const database = await PGlite.create('memory://');
    const image = await database.dumpDataDir('none');
    await database.close();
    mkdirSync(dirname(file), { recursive: true });
    // Another run may make the same file.
    const own = `${file}.${process.pid}`;
    writeFileSync(own, new Uint8Array(await image.arrayBuffer()));
    renameSync(own, file);
  }
  provide('emptyDatabase', file);
}

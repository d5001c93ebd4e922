/** The files and folders of a state folder, and what may be deleted of it. */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** What `--fresh` deletes. Anything else in the folder is not ours, or is kept: `models/` has bundles of `npm run bundle`. */
const DELETED_BY_FRESH = [
  'catalog',
  'database',
  'imports',
  'kafka',
  'kafka-password',
  'key',
  'postgres',
  'postgres.lock',
  'state.json',
  'worker',
  'worker.env',
  'wrangler.log',
] as const;

/** The absolute path of the worker's variables: the worker's command names it, by which it is known as this folder's. */
export function envFileOf(stateDir: string): string {
  return resolve(stateDir, 'worker.env');
}

/** @throws Error that says why the folder cannot be used. */
export function makeStateFolder(stateDir: string): void {
  try {
    mkdirSync(stateDir, { recursive: true });
    if (!statSync(stateDir).isDirectory()) throw new Error('it is not a folder');
  } catch (error) {
    throw new Error(unusable(stateDir, error), { cause: error });
  }
}

/** Why a state folder cannot be used, and what to do. */
export function unusable(stateDir: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const causes: Readonly<Record<string, string>> = {
    EACCES: 'this user may not write there',
    EPERM: 'this user may not write there',
    EROFS: 'it is on a disk that is mounted read-only',
    ENOSPC: 'its disk is full',
    ENOTDIR: 'a part of its path is a file',
    EEXIST: 'it is a file, not a folder',
  };
  const cause = causes[code] ?? (error instanceof Error ? error.message : String(error));
  return `The state folder ${stateDir} cannot be used: ${cause}. Mend that, or name another folder with --state.`;
}

/** Deletes the data of a stack: for `--fresh`, by the owner of the folder's lock alone. */
export function deleteData(stateDir: string): void {
  for (const name of DELETED_BY_FRESH) rmSync(join(stateDir, name), { recursive: true, force: true });
}

/** Whether a folder exists and has anything in it. */
export function hasEntries(folder: string): boolean {
  try {
    return readdirSync(folder).length > 0;
  } catch {
    return false;
  }
}

import type { Hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '../../..');
/** What tests make once and keep for later runs. */
export const KEPT = join(ROOT, 'node_modules/.cache/millrace');
/** Each change of the code makes another one. One that is still needed is made again. */
const AGE_MS_MAX = 7 * 24 * 60 * 60 * 1_000;
const LOOK_AGAIN_MS = 100;

/** Removes what was made long ago. */
export function removeOld(): void {
  for (const name of existsSync(KEPT) ? readdirSync(KEPT) : []) {
    const path = join(KEPT, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > AGE_MS_MAX)
      rmSync(path, { recursive: true, force: true });
  }
}

/** Adds the paths and the contents of all files in some folders. A relative path begins at the root of the repository. */
export function hashFiles(hash: Hash, paths: readonly string[]): void {
  for (const path of paths.map((one) => resolve(ROOT, one)))
    for (const file of filesIn(path))
      hash.update(relative(ROOT, file)).update('\0').update(readFileSync(file));
}

/** The files of a folder and of the folders in it, or the file itself. A folder that is not there has none. */
export function filesIn(path: string): string[] {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/**
 * A folder that is made once and kept, also for other processes. One process makes it, while others wait for it. If that
 * process ends before, the next one makes it.
 *
 * @param make fills the folder that it is given.
 */
export async function keptFolder(
  name: string,
  make: (folder: string) => Promise<void>,
  kept = KEPT,
): Promise<string> {
  const folder = join(kept, name);
  const own = `${folder}.${process.pid}`;
  mkdirSync(kept, { recursive: true });
  while (!existsSync(folder)) {
    if (othersMaking(name, kept).length > 0) {
      await sleep(LOOK_AGAIN_MS);
      continue;
    }
    removeOld();
    mkdirSync(own);
    try {
      // Of processes that begin at the same moment, one goes on.
      if (othersMaking(name, kept).some((pid) => pid < process.pid)) continue;
      await make(own);
      if (!existsSync(folder)) renameSync(own, folder);
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
  }
  return folder;
}

/** The other processes that make the folder. What one has left that was ended is removed. */
function othersMaking(name: string, kept: string): number[] {
  const others = readdirSync(kept).filter((entry) => entry.startsWith(`${name}.`));
  const pids = others
    .map((other) => Number(other.slice(name.length + 1)))
    .filter((pid) => pid !== process.pid);
  for (const pid of pids)
    if (!isAlive(pid)) rmSync(join(kept, `${name}.${pid}`), { recursive: true, force: true });
  return pids.filter(isAlive);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

import { open, readFile, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/**
 * Folders that this process holds. A lock file with this process's own id may come from an earlier process with the
 * same id, for instance in a container.
 */
const held = new Set<string>();

/**
 * Claims the folder for this process. The lock file has the process's id; the lock of a killed process is taken over.
 * Returns a function that releases it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(resolve(folder), 'lock');
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const handle = await open(path, 'wx', 0o600);
      await handle.writeFile(String(process.pid));
      await handle.close();
      held.add(path);
      return async () => {
        held.delete(path);
        await unlink(path).catch(() => undefined);
      };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner === process.pid ? held.has(path) : owner > 0 && isAlive(owner)) break;
    await unlink(path).catch(() => undefined);
  }
  throw new Error(`${folder} is in use by another bridge (see ${path}).`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user refuses the signal, but it exists.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

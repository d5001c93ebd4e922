import { execFile } from 'node:child_process';
import { existsSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const CHECK = join(import.meta.dirname, '../check-catalog.ts');
/** The folders that a catalog's files are in, or are imported from. */
const WATCHED = ['src', 'examples'];
/** Loading a catalog takes a second; one that never ends, as by an endless loop, is a mistake, too. */
const CHECK_MS_MAX = 30_000;
/** An editor writes several files, or one in several steps. */
const SETTLE_MS = 150;

/** The mistakes of the catalog as it is on disk, in plain lines; undefined where it has none. It is loaded by a process of its own. */
export async function catalogMistakes(): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  execFile(process.execPath, [CHECK], { timeout: CHECK_MS_MAX, encoding: 'utf8' }, (error, _, stderr) =>
    resolve(error === null ? undefined : stderr.trim() || 'The catalog cannot be loaded.'),
  );
  return await promise;
}

/**
 * Waits until the catalog has no mistake any more, and reports those that it has meanwhile.
 *
 * @param shown the mistakes that the person has seen already.
 * @returns whether it is mended; false where the signal aborted first.
 */
export async function untilMended(
  shown: string,
  report: (mistakes: string) => void,
  signal: AbortSignal,
): Promise<boolean> {
  let last = shown;
  using changes = watchFiles(WATCHED);
  while (!signal.aborted) {
    const mistakes = await catalogMistakes();
    if (mistakes === undefined) return true;
    if (mistakes !== last) report(mistakes);
    last = mistakes;
    await changes.next(signal);
    await sleep(SETTLE_MS);
  }
  return false;
}

function watchFiles(folders: readonly string[]) {
  let wake: () => void = () => undefined;
  let hasChanged = false;
  const changed = () => {
    hasChanged = true;
    wake();
  };
  const watchers = folders
    .filter((folder) => existsSync(folder))
    .map((folder) => watch(folder, { recursive: true }, changed));
  return {
    /** Settles at the next change since it was asked last, or when the signal aborts. */
    next: async (signal: AbortSignal): Promise<void> => {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (!hasChanged && !signal.aborted) await promise;
      hasChanged = false;
    },
    [Symbol.dispose]: () => {
      for (const watcher of watchers) watcher.close();
    },
  };
}

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { KEY, type Stack } from '../../../../test/support/node/stack.ts';
import { type ImportDeps, type ImportOptions, runImport } from '../../import/run.ts';

// Raw requests: transport (test/unit/architecture/raw-requests.test.ts).
/** Imports a file of a directory into a stack, in batches of 100 lines. */
export function importInto(
  stack: Stack,
  directory: string,
  file: string,
  { madeUp = 'ask', ...deps }: Partial<Pick<ImportOptions, 'madeUp'> & ImportDeps> = {},
) {
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const { pathname, search } = new URL(String(input));
    return await stack.fetch(`${pathname}${search}`, init);
  };
  const reporter = { progress: () => {}, notice: () => {}, finish: () => {} };
  const sleep = async (ms: number) => void (await pause(ms));
  return runImport(
    {
      ...{ file: join(directory, file), url: 'http://127.0.0.1:1', key: KEY, batchLines: 100, limit: null },
      ...{ asIfToday: false, restart: false, madeUp, stateDirectory: join(directory, 'states') },
    },
    {
      ...{ fetch, now: Date.now, random: Math.random, sleep, reporter },
      ...{ confirm: null, database: () => null, ...deps },
    },
    new AbortController().signal,
  );
}

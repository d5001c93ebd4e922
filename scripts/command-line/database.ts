import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import type { DatabaseTarget } from '../../src/storage/postgres/connect.ts';
import { runningStack } from '../dev/state/lock.ts';
import { databaseUrlOf } from './values.ts';

/**
 * The database of DATABASE_URL, else that of the running `npm run dev`. DATABASE_ENDPOINT names the HTTP address of a
 * database that is not reached at Neon's own.
 *
 * @throws UsageError where DATABASE_URL is set, and no address of a Postgres.
 * @throws Error where it is not set, and no stack runs.
 */
export function databaseTarget(
  env: Readonly<Record<string, string | undefined>>,
  stateDir: string,
): DatabaseTarget {
  const url = databaseUrlOf(env['DATABASE_URL']);
  if (url === undefined) return devDatabase(stateDir, 'set DATABASE_URL, or ');
  return { url, endpoint: env['DATABASE_ENDPOINT'] || undefined };
}

/**
 * The database of the running `npm run dev`.
 *
 * @param otherwise what may be done instead, for the message.
 * @throws Error where no stack runs, or it has not started its database yet.
 */
export function devDatabase(
  stateDir: string,
  otherwise = '',
): DatabaseTarget & { readonly endpoint: string } {
  if (runningStack(stateDir) === undefined)
    throw new Error(
      `No stack runs from ${stateDir}/. Start npm run dev first, ${otherwise}or name its folder with --state.`,
    );
  const file = join(stateDir, 'worker.env');
  const vars = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
  const { DATABASE_URL: url, DATABASE_ENDPOINT: endpoint } = vars;
  if (url === undefined || endpoint === undefined)
    throw new Error(`The stack of ${stateDir}/ has not started its database yet. Try again in some seconds.`);
  return { url, endpoint };
}

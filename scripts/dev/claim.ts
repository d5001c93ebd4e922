import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const EMBEDDED = 'the embedded database';

/**
 * Ties a state folder to the database whose features and answers it holds. With those of another one the
 * feature shards would take its events for known.
 *
 * @returns whether the folder was unclaimed: then it holds nothing of what the database has.
 */
export function claimState(stateDir: string, databaseUrl: string | undefined): boolean {
  const path = join(stateDir, 'database');
  const database = databaseUrl === undefined ? EMBEDDED : withoutCredentials(databaseUrl);
  if (!existsSync(path)) {
    writeFileSync(path, `${database}\n`);
    return true;
  }
  const owner = readFileSync(path, 'utf8').trim();
  if (owner === database) return false;
  throw new Error(
    `${stateDir}/ belongs to ${owner}, not to ${database}: name another with --state, or use --fresh.`,
  );
}

function withoutCredentials(databaseUrl: string): string {
  const url = URL.parse(databaseUrl);
  if (url === null) throw new Error('DATABASE_URL is not a URL.');
  return `${url.host}${url.pathname}`;
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withoutCredentials } from '../command-line/values.ts';

const EMBEDDED = 'the embedded database';

/** What a state folder holds the features, answers and (embedded) tables of. */
interface Claim {
  /** DATABASE_URL; undefined for the embedded database. */
  readonly databaseUrl: string | undefined;
  /** The folder of the catalog's migrations, which stands for the catalog. */
  readonly migrations: string;
}

/**
 * Ties a state folder to the database and the catalog whose features and answers it holds. With those of another
 * database the feature shards would take its events for known; with the tables of another catalog the migrations of
 * this one would not fit.
 *
 * @returns whether the folder was unclaimed: then it holds nothing of what the database has.
 * @throws Error where the folder belongs to others.
 */
export function claimState(stateDir: string, { databaseUrl, migrations }: Claim): boolean {
  const database = databaseUrl === undefined ? EMBEDDED : withoutCredentials(databaseUrl);
  const isNew = claim(join(stateDir, 'database'), stateDir, database);
  claim(join(stateDir, 'catalog'), stateDir, `the catalog with the migrations in ${migrations}`);
  return isNew;
}

function claim(path: string, stateDir: string, claimant: string): boolean {
  if (!existsSync(path)) {
    writeFileSync(path, `${claimant}\n`);
    return true;
  }
  const owner = readFileSync(path, 'utf8').trim();
  if (owner === claimant) return false;
  throw new Error(
    `${stateDir}/ belongs to ${owner}, not to ${claimant}. Name another folder with --state, or delete its data with --fresh.`,
  );
}

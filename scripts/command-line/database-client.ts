import pg from 'pg';
import { explainError } from '../dev/database/migrations.ts';
import { withoutCredentials } from './values.ts';

/** How long a database may take to accept a connection: a sleeping one at Neon takes some seconds. */
const CONNECT_MS_MAX = 15_000;

/**
 * Does some work with a session on the database of a URL.
 *
 * @throws Error that names the database, where it cannot be reached, and whatever the work throws.
 */
export async function withClient<T>(
  databaseUrl: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_MS_MAX,
  });
  // A session that breaks also emits an event, which would end the process without a listener; the query fails anyway.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw unreachableDatabase(databaseUrl, error);
  }
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The error for a database that takes no connection. It names no user and no password. */
export function unreachableDatabase(databaseUrl: string, error: unknown): Error {
  return new Error(
    `The database ${withoutCredentials(databaseUrl)} of DATABASE_URL cannot be reached: ${explainError(error)}. ` +
      'Start it, or correct DATABASE_URL.',
    { cause: error },
  );
}

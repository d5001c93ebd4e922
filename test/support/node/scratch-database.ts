import pg from 'pg';

/**
 * An empty database on a Postgres server, for one test.
 *
 * @param name of the database; the process's id makes it unique.
 */
export async function scratchDatabase(
  serverUrl: string,
  name: string,
): Promise<{ readonly url: string; readonly drop: () => Promise<void> }> {
  const own = `${name}_${process.pid}`;
  const url = new URL(serverUrl);
  url.pathname = `/${own}`;
  const admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  await admin.query(`create database ${own}`);
  const drop = async () => {
    await admin.query(`drop database ${own} with (force)`);
    await admin.end();
  };
  return { url: url.href, drop };
}

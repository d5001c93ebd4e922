import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { explainError, migratePostgres } from './dev/database/migrations.ts';

/**
 * Applies the pending migrations: `DATABASE_URL=postgres://... node scripts/migrate.ts [folder]`. The folder is
 * the repository's `migrations` unless named.
 */
const MIGRATIONS_DIR = fileURLToPath(new URL('../migrations', import.meta.url));

async function main(): Promise<void> {
  const databaseUrl = process.env['DATABASE_URL'];
  if (databaseUrl === undefined || databaseUrl === '') {
    throw new Error(
      'DATABASE_URL is not set. It names the database, as postgres://user:password@host/database.',
    );
  }
  const client = new pg.Client({ connectionString: databaseUrl });
  try {
    await client.connect();
    const { applied, known } = await migratePostgres(client, process.argv[2] ?? MIGRATIONS_DIR);
    const target = `${client.database ?? ''} on ${client.host}`;
    for (const tag of applied) console.log(`applied ${tag}`);
    console.log(`${target}: ${applied.length} of ${known} migrations applied now, the others before`);
  } finally {
    await client.end();
  }
}

try {
  await main();
} catch (error) {
  // Stack traces and connection strings stay out of a deploy log.
  const message = error instanceof Error && error.message !== '' ? error.message : explainError(error);
  console.error(`migrate: ${message}`);
  process.exitCode = 1;
}

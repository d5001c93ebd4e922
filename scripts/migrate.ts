import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { assertCatalogTables } from './dev/database/capture.ts';
import { CATALOG_MIGRATIONS } from './dev/database/folders.ts';
import { explainError, migratePostgres } from './dev/database/migrations.ts';

/**
 * Applies the pending migrations, Millrace's own and then the catalog's:
 * `DATABASE_URL=postgres://... node scripts/migrate.ts [folder]`. Then it compares the catalog's tables with those of the
 * database. `folder` has the migrations of another catalog, whose tables are not compared.
 */
const CATALOG_DIR = join(fileURLToPath(new URL('..', import.meta.url)), CATALOG_MIGRATIONS);

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
    const folder = process.argv[2];
    const { isUpgraded, applied, known } = await migratePostgres(client, folder ?? CATALOG_DIR);
    const target = `${client.database ?? ''} on ${client.host}`;
    if (isUpgraded) console.log("moved Millrace's tables from the schema public to the schema millrace");
    for (const name of applied) console.log(`applied ${name}`);
    console.log(`${target}: ${applied.length} of ${known} migrations applied now, the others before`);
    if (folder === undefined)
      await assertCatalogTables(async (text, params) => (await client.query(text, params)).rows);
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

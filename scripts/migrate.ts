/**
 * `DATABASE_URL=postgres://… npm run db:migrate [-- FOLDER]`: applies the pending migrations, Millrace's own and then the
 * catalog's. Then it compares the catalog's tables with those of the database. FOLDER has the migrations of another
 * catalog, whose tables are not compared.
 */
import { join } from 'node:path';
import { withClient } from './command-line/database-client.ts';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { requiredDatabaseUrl } from './command-line/values.ts';
import { assertCatalogTables } from './dev/database/capture.ts';
import { CATALOG_MIGRATIONS } from './dev/database/folders.ts';
import { migratePostgres } from './dev/database/migrations.ts';
import { loadCatalog } from './project/catalog.ts';

const CATALOG_DIR = join(import.meta.dirname, '..', CATALOG_MIGRATIONS);

const USAGE = `Usage: DATABASE_URL=postgres://… npm run db:migrate [-- FOLDER]

  FOLDER   the migrations of another catalog (${CATALOG_MIGRATIONS})`;

async function main(): Promise<void> {
  const { values, positionals } = readOptions({
    command: 'npm run db:migrate',
    positionalsMax: 1,
    options: { help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const databaseUrl = requiredDatabaseUrl(process.env['DATABASE_URL']);
  const [folder] = positionals;
  const catalog = folder === undefined ? await loadCatalog() : undefined;
  await withClient(databaseUrl, async (client) => {
    const { isUpgraded, applied, known } = await migratePostgres(client, folder ?? CATALOG_DIR);
    const target = `${client.database ?? ''} on ${client.host}`;
    if (isUpgraded) console.log("moved Millrace's tables from the schema public to the schema millrace");
    for (const name of applied) console.log(`applied ${name}`);
    console.log(`${target}: ${applied.length} of ${known} migrations applied now, the others before`);
    if (catalog !== undefined)
      await assertCatalogTables(catalog, async (text, params) => (await client.query(text, params)).rows);
  });
}

// Stack traces and connection strings stay out of a deploy log.
await runCommand(main, 'db:migrate');

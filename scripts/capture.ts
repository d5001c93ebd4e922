/**
 * `DATABASE_URL=postgres://… npm run db:capture`: installs the triggers that capture what other writers change, for
 * the tables of the catalog. To be run after the migrations, and again after every change of the catalog's tables.
 * It first compares the declared tables with the database.
 */
import { getTableUniqueName } from 'drizzle-orm';
import type pg from 'pg';
import { dropCaptureStatements } from '../src/storage/postgres/capture.ts';
import { outbox } from '../src/storage/postgres/schema.ts';
import { withClient } from './command-line/database-client.ts';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { requiredDatabaseUrl } from './command-line/values.ts';
import { assertCatalogCapturable, catalogCapture } from './dev/database/capture.ts';
import { loadCatalog } from './project/catalog.ts';

const USAGE = `Usage: DATABASE_URL=postgres://… npm run db:capture [-- --print | --drop]

  --print   print the SQL instead of running it; needs no database
  --drop    remove the triggers`;

async function main(): Promise<void> {
  const { values: options } = readOptions({
    command: 'npm run db:capture',
    options: {
      print: { type: 'boolean', default: false },
      drop: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) return console.log(USAGE);
  const catalog = await loadCatalog();
  const statements = [
    'begin',
    ...(options.drop ? dropCaptureStatements() : catalogCapture(catalog)),
    'commit',
  ];
  if (options.print) return console.log(`${statements.join(';\n\n')};`);
  const databaseUrl = requiredDatabaseUrl(process.env['DATABASE_URL']);
  const target = await withClient(databaseUrl, async (client) => {
    if (!options.drop) {
      await assertMigrated(client);
      await assertCatalogCapturable(catalog, async (text, params) => (await client.query(text, params)).rows);
    }
    // What fails in between is rolled back as the connection ends.
    for (const statement of statements) await client.query(statement);
    return `${client.database ?? ''} on ${client.host}`;
  });
  const tables = [...catalog.entities, ...catalog.histories].map(({ name }) => name).join(', ');
  console.log(
    options.drop
      ? `${target}: other writers are no longer captured`
      : `${target}: other writers of ${tables} are captured`,
  );
}

/** The trigger functions live in Millrace's schema, which its migrations create. */
async function assertMigrated(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ migrated: boolean }>(
    `select to_regclass('${getTableUniqueName(outbox)}') is not null as migrated`,
  );
  if (rows[0]?.migrated !== true)
    throw new Error("Millrace's own tables are not in this database. Run npm run db:migrate first.");
}

// Stack traces and connection strings stay out of a deploy log.
await runCommand(main, 'db:capture');

/**
 * `DATABASE_URL=postgres://… npm run db:capture`: installs the triggers that capture what other writers change, for
 * the tables of the catalog. To be run after the migrations, and again after every change of the catalog's tables.
 * It first compares the declared tables with the database.
 */
import { parseArgs } from 'node:util';
import { getTableUniqueName } from 'drizzle-orm';
import pg from 'pg';
import { catalog } from '../src/catalog/index.ts';
import { dropCaptureStatements } from '../src/storage/postgres/capture.ts';
import { outbox } from '../src/storage/postgres/schema.ts';
import { assertCatalogCapturable, catalogCapture } from './dev/database/capture.ts';
import { explainError } from './dev/database/migrations.ts';

const USAGE = `Usage: DATABASE_URL=postgres://… npm run db:capture [-- --print | --drop]

  --print   write the SQL instead of running it; needs no database
  --drop    remove the triggers`;

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      print: { type: 'boolean', default: false },
      drop: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) return console.log(USAGE);
  const statements = ['begin', ...(options.drop ? dropCaptureStatements() : catalogCapture()), 'commit'];
  if (options.print) return console.log(`${statements.join(';\n\n')};`);
  const databaseUrl = process.env['DATABASE_URL'];
  if (databaseUrl === undefined || databaseUrl === '')
    throw new Error(
      'DATABASE_URL is not set. It names the database, as postgres://user:password@host/database.',
    );
  const client = new pg.Client({ connectionString: databaseUrl });
  try {
    await client.connect();
    if (!options.drop) {
      await assertMigrated(client);
      await assertCatalogCapturable(async (text, params) => (await client.query(text, params)).rows);
    }
    // What fails in between is rolled back as the connection ends.
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
  const tables = [...catalog.entities, ...catalog.histories].map(({ name }) => name).join(', ');
  const target = `${client.database ?? ''} on ${client.host}`;
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

try {
  await main();
} catch (error) {
  // Stack traces and connection strings stay out of a deploy log.
  console.error(`capture: ${explainError(error)}`);
  process.exitCode = 1;
}

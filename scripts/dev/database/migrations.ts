import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { sql } from 'drizzle-orm';
import type { MigrationConfig } from 'drizzle-orm/migrator';
import { drizzle as drizzlePostgres } from 'drizzle-orm/node-postgres';
import { migrate as drizzleMigratePostgres } from 'drizzle-orm/node-postgres/migrator';
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite';
import { migrate as drizzleMigratePglite } from 'drizzle-orm/pglite/migrator';
import type pg from 'pg';
import { z } from 'zod';
import type { MigrationRun } from './backend.ts';
import { MILLRACE_MIGRATIONS } from './folders.ts';
import { CATALOG_JOURNAL, MILLRACE_JOURNAL, MILLRACE_SCHEMA } from './journals.ts';
import { type UpgradeSession, upgradeLegacy } from './upgrade.ts';

const MILLRACE_DIR = join(import.meta.dirname, '../../..', MILLRACE_MIGRATIONS);

/** The part of drizzle-kit's journal that tells which migrations there are and since when. */
const journalSchema = z.object({ entries: z.array(z.object({ when: z.number(), tag: z.string() })) });

type Entries = z.infer<typeof journalSchema>['entries'];

interface Session extends UpgradeSession {
  migrate(config: MigrationConfig): Promise<void>;
}

/** Applies pending migrations to an embedded database: Millrace's own, then those of the catalog's folder. */
export function migratePglite(db: PGlite, catalogDir: string): Promise<MigrationRun> {
  const database = drizzlePglite({ client: db });
  return runMigrations(catalogDir, {
    query: (text) => db.query(text),
    transaction: (statements) =>
      database.transaction(async (tx) => {
        for (const statement of statements) await tx.execute(sql.raw(statement));
      }),
    migrate: (config) => drizzleMigratePglite(database, config),
  });
}

/** Applies pending migrations to a Postgres server: Millrace's own, then those of the catalog's folder. */
export function migratePostgres(client: pg.Pool | pg.Client, catalogDir: string): Promise<MigrationRun> {
  const database = drizzlePostgres({ client });
  return runMigrations(catalogDir, {
    query: (text) => client.query(text),
    transaction: (statements) =>
      database.transaction(async (tx) => {
        for (const statement of statements) await tx.execute(sql.raw(statement));
      }),
    migrate: (config) => drizzleMigratePostgres(database, config),
  });
}

async function runMigrations(catalogDir: string, session: Session): Promise<MigrationRun> {
  // A folder that cannot be read is reported before anything is changed.
  const folders = [
    { set: 'millrace', dir: MILLRACE_DIR, journal: MILLRACE_JOURNAL, entries: readJournal(MILLRACE_DIR) },
    { set: 'catalog', dir: catalogDir, journal: CATALOG_JOURNAL, entries: readJournal(catalogDir) },
  ];
  const isUpgraded = await upgradeLegacy(session, MILLRACE_DIR);
  const applied: string[] = [];
  for (const { set, dir, journal, entries } of folders) {
    const tags = entries.length > 0 ? await applyFolder(dir, journal, entries, session) : [];
    applied.push(...tags.map((tag) => `${set}/${tag}`));
  }
  return { isUpgraded, applied, known: folders.reduce((sum, { entries }) => sum + entries.length, 0) };
}

/**
 * Runs drizzle's migrator, which applies in one transaction what is newer than the last recorded migration, and
 * returns what that was. Of two runs at the same time one may fail; it changes nothing then.
 */
async function applyFolder(
  dir: string,
  journal: string,
  entries: Entries,
  session: Session,
): Promise<string[]> {
  try {
    const last = await lastApplied(session, `${MILLRACE_SCHEMA}.${journal}`);
    await session.migrate({
      migrationsFolder: dir,
      migrationsSchema: MILLRACE_SCHEMA,
      migrationsTable: journal,
    });
    return entries.filter((entry) => entry.when > last).map((entry) => entry.tag);
  } catch (error) {
    throw new Error(`The migrations of ${dir} could not be applied: ${explainError(error)}${remedy(error)}`, {
      cause: error,
    });
  }
}

/** SQLSTATE duplicate_table: a migration creates a table that is there already. */
const DUPLICATE_TABLE = '42P07';

function remedy(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if (!('code' in error)) return remedy(error.cause);
  if (error.code !== DUPLICATE_TABLE) return '';
  return (
    '. Nothing of this folder was applied. If another tool owns the table, describe it in adopted.ts instead of ' +
    'tables.ts and delete the migration that creates it.'
  );
}

/** The time stamp of the newest recorded migration, or -Infinity in a database without any. */
async function lastApplied(session: Session, journal: string): Promise<number> {
  const exists = await session.query(`select to_regclass('${journal}') is not null as found`);
  if (!z.object({ found: z.boolean() }).parse(exists.rows[0]).found) return Number.NEGATIVE_INFINITY;
  const newest = await session.query(`select max(created_at)::text as last from ${journal}`);
  const { last } = z.object({ last: z.string().nullable() }).parse(newest.rows[0]);
  return last === null ? Number.NEGATIVE_INFINITY : Number(last);
}

/** A catalog whose tables all belong to another tool has no folder of migrations. */
function readJournal(migrationsDir: string): Entries {
  if (!existsSync(migrationsDir)) return [];
  const path = join(migrationsDir, 'meta', '_journal.json');
  if (!existsSync(path)) {
    throw new Error(`${migrationsDir} is no folder of drizzle migrations: ${path} does not exist.`);
  }
  try {
    return journalSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).entries;
  } catch (error) {
    throw new Error(`${path} is not a drizzle journal: ${explainError(error)}`, { cause: error });
  }
}

/**
 * The message of the innermost cause. Drizzle wraps the database's error in one that only repeats the query, and a
 * refused connection arrives as an AggregateError without a message of its own.
 */
export function explainError(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(explainError).join('; ');
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : explainError(error.cause);
}

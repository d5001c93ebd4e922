import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { drizzle as drizzlePostgres } from 'drizzle-orm/node-postgres';
import { migrate as drizzleMigratePostgres } from 'drizzle-orm/node-postgres/migrator';
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite';
import { migrate as drizzleMigratePglite } from 'drizzle-orm/pglite/migrator';
import type pg from 'pg';
import { z } from 'zod';
import type { MigrationRun } from './backend.ts';

/** The part of drizzle-kit's journal that tells which migrations there are and since when. */
const journalSchema = z.object({ entries: z.array(z.object({ when: z.number(), tag: z.string() })) });

const HAS_HISTORY = `select to_regclass('drizzle.__drizzle_migrations') is not null as found`;
const LAST_APPLIED = 'select max(created_at)::text as last from drizzle.__drizzle_migrations';

interface Session {
  query(text: string): Promise<{ rows: unknown[] }>;
  migrate(): Promise<void>;
}

/** Applies the folder's pending drizzle migrations to an embedded database. */
export function migratePglite(db: PGlite, migrationsDir: string): Promise<MigrationRun> {
  return runMigrations(migrationsDir, {
    query: (text) => db.query(text),
    migrate: () => drizzleMigratePglite(drizzlePglite({ client: db }), { migrationsFolder: migrationsDir }),
  });
}

/** Applies the folder's pending drizzle migrations to a Postgres server. */
export function migratePostgres(client: pg.Pool | pg.Client, migrationsDir: string): Promise<MigrationRun> {
  return runMigrations(migrationsDir, {
    query: (text) => client.query(text),
    migrate: () => drizzleMigratePostgres(drizzlePostgres({ client }), { migrationsFolder: migrationsDir }),
  });
}

/**
 * Runs drizzle's migrator, which applies in one transaction what is newer than the last recorded migration, and
 * tells what that was. Two runs at the same time are safe but not kind: one of them fails and changes nothing.
 */
async function runMigrations(migrationsDir: string, session: Session): Promise<MigrationRun> {
  const { entries } = readJournal(migrationsDir);
  try {
    const last = await lastApplied(session);
    await session.migrate();
    const applied = entries.filter((entry) => entry.when > last).map((entry) => entry.tag);
    return { applied, known: entries.length };
  } catch (error) {
    throw new Error(`The migrations of ${migrationsDir} could not be applied: ${explainError(error)}`, {
      cause: error,
    });
  }
}

/** The time stamp of the newest recorded migration, or -Infinity in a database without any. */
async function lastApplied(session: Session): Promise<number> {
  const history = z.object({ found: z.boolean() }).parse((await session.query(HAS_HISTORY)).rows[0]);
  if (!history.found) return Number.NEGATIVE_INFINITY;
  const { last } = z
    .object({ last: z.string().nullable() })
    .parse((await session.query(LAST_APPLIED)).rows[0]);
  return last === null ? Number.NEGATIVE_INFINITY : Number(last);
}

function readJournal(migrationsDir: string): z.infer<typeof journalSchema> {
  const path = join(migrationsDir, 'meta', '_journal.json');
  if (!existsSync(path)) {
    throw new Error(`${migrationsDir} is no folder of drizzle migrations: ${path} does not exist.`);
  }
  try {
    return journalSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
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

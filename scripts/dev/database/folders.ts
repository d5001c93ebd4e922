/**
 * Where tables and migrations stand, from the repository's root. `drizzle.config.ts` reads this file as CommonJS, so
 * nothing here waits.
 */
import { loadProject } from '../../project/load.ts';

/** Millrace's own migrations: the Postgres schema `millrace`. */
export const MILLRACE_MIGRATIONS = 'migrations';
export const MILLRACE_TABLES = 'src/storage/postgres/schema.ts';

/** The catalog's tables, those that another tool owns, and the migrations: `src/catalog/project.ts` names them. */
export const {
  migrations: CATALOG_MIGRATIONS,
  tables: CATALOG_TABLES,
  adopted: ADOPTED_TABLES,
} = loadProject();

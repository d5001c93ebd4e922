/**
 * Where tables and migrations stand, from the repository's root. The catalog's places are named here alone.
 * `drizzle.config.ts` reads this file as CommonJS, so these are plain strings.
 */

/** Millrace's own migrations: the Postgres schema `millrace`. */
export const MILLRACE_MIGRATIONS = 'migrations';
export const MILLRACE_TABLES = 'src/storage/postgres/schema.ts';

/** The catalog's tables and their migrations. */
export const CATALOG_MIGRATIONS = 'examples/shop/migrations';
export const CATALOG_TABLES = 'examples/shop/catalog/tables.ts';

/** Tables of the catalog that another tool owns. The file is optional; no migration is made from it. */
export const ADOPTED_TABLES = 'examples/shop/catalog/adopted.ts';

/** The Postgres schema of Millrace's own tables, as `src/storage/postgres/schema.ts` has it. */
export const MILLRACE_SCHEMA = 'millrace';

/** The table of that schema in which drizzle's migrator notes Millrace's own migrations. */
export const MILLRACE_JOURNAL = 'migrations';

/**
 * The table of that schema in which it notes the catalog's. It is not drizzle's default
 * `drizzle.__drizzle_migrations`: the migrator goes by the newest entry alone, so an adopted database whose own
 * application uses drizzle would make it skip the catalog's migrations, and the catalog's would make that
 * application skip its own.
 */
export const CATALOG_JOURNAL = 'catalog_migrations';

import { defineConfig } from 'drizzle-kit';
import { CATALOG_MIGRATIONS, CATALOG_TABLES } from './scripts/dev/database/folders.ts';
import { CATALOG_JOURNAL, MILLRACE_SCHEMA } from './scripts/dev/database/journals.ts';

/** The catalog's tables. Millrace's own have the script `db:generate:millrace`. */
export default defineConfig({
  dialect: 'postgresql',
  schema: `./${CATALOG_TABLES}`,
  out: `./${CATALOG_MIGRATIONS}`,
  migrations: { schema: MILLRACE_SCHEMA, table: CATALOG_JOURNAL },
});

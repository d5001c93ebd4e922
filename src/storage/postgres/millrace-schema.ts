import { pgSchema } from 'drizzle-orm/pg-core';

/**
 * The Postgres schema of Millrace's own tables. They have one of their own, because the catalog's tables belong to the user
 * and may have any name.
 */
export const schema = pgSchema('millrace');

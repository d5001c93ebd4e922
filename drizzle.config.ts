import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: ['./src/storage/postgres/schema.ts', './examples/shop/catalog/tables.ts'],
  out: './migrations',
});

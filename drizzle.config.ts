import { defineConfig } from 'drizzle-kit';
import { loadProject } from './scripts/project/load.ts';

const { tables, migrations } = loadProject();

export default defineConfig({
  dialect: 'postgresql',
  schema: ['./src/storage/postgres/schema.ts', ...tables],
  out: `./${migrations}`,
});

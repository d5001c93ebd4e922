import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { neon, neonConfig } from '@neondatabase/serverless';
import type { ShopDatabase } from './made-up-shop.ts';

/** The database of DATABASE_URL, else that of `npm run dev`, which leaves its address in a file; null without either. */
export function databaseOf(
  environment: Readonly<Record<string, string | undefined>>,
  devFile: string,
): ShopDatabase | null {
  const isNamed = Boolean(environment['DATABASE_URL']);
  const named = isNamed || !existsSync(devFile) ? environment : parseEnv(readFileSync(devFile, 'utf8'));
  const { DATABASE_URL: url, DATABASE_ENDPOINT: endpoint } = named;
  if (!url) return null;
  if (endpoint) neonConfig.fetchEndpoint = endpoint;
  const sql = neon(url);
  return {
    query: (text, params) => sql.query(text, [...params]),
    transaction: async (statements) => {
      await sql.transaction(statements.map(({ text, params }) => sql.query(text, [...params])));
    },
  };
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import { EVERYTHING } from '../../../src/cache/entry.ts';
import type { Catalog } from '../../../src/define/catalog.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import type { DevDatabase } from '../database.ts';
import { assertCapturable, assertDeclared, type Query, tablesOfModule } from './declared.ts';
import { ADOPTED_TABLES } from './folders.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** The statements that capture the other writers of this catalog's tables, to be run in one transaction. */
export function catalogCapture(catalog: Catalog): string[] {
  return captureStatements({ ...catalog, everything: EVERYTHING });
}

/** @throws Error that says what the database does not have as the catalog declares it, and what to do. */
export async function assertCatalogTables(catalog: Catalog, query: Query): Promise<void> {
  const adopted = await adoptedTables();
  const own = catalogTables(catalog).filter((table) => !adopted.includes(table));
  await assertDeclared(query, { own, adopted });
}

/** @throws Error as `assertCatalogTables`, or that says which privileges the captured tables' owners have to grant. */
export async function assertCatalogCapturable(catalog: Catalog, query: Query): Promise<void> {
  await assertCatalogTables(catalog, query);
  await assertCapturable(query, catalogTables(catalog));
}

/** Installs capture through a development database's endpoint. */
export async function captureOtherWriters(catalog: Catalog, database: DevDatabase): Promise<void> {
  const { $client } = connect({ url: database.connectionString, endpoint: database.endpoint });
  await assertCatalogCapturable(catalog, async (text, params) =>
    z.array(z.unknown()).parse(await $client.query(text, params)),
  );
  await $client.transaction(catalogCapture(catalog).map((statement) => $client.query(statement)));
}

/** The tables that are served; other tables of `tables.ts` matter to its migrations only. */
function catalogTables(catalog: Catalog): PgTable[] {
  return [...new Set([...catalog.entities, ...catalog.histories].map(({ table }) => table))];
}

async function adoptedTables(): Promise<PgTable[]> {
  const path = join(ROOT, ADOPTED_TABLES);
  if (!existsSync(path)) return [];
  const module: Record<string, unknown> = await import(pathToFileURL(path).href);
  return tablesOfModule(module);
}

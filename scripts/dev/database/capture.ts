import { EVERYTHING } from '../../../src/cache/purge.ts';
import { catalog } from '../../../src/catalog/index.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import type { DevDatabase } from '../database.ts';

/** The statements that capture the other writers of this catalog's tables, to be run in one transaction. */
export function catalogCapture(): string[] {
  return captureStatements({ ...catalog, everything: EVERYTHING });
}

/** Runs them through a development database's endpoint. */
export async function captureOtherWriters(database: DevDatabase): Promise<void> {
  const { $client } = connect({ url: database.connectionString, endpoint: database.endpoint });
  await $client.transaction(catalogCapture().map((statement) => $client.query(statement)));
}

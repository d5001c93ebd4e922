import type { Catalog } from '../../src/define/catalog.ts';
import { contractsOf } from '../project/contracts.ts';
import { openApiOf } from '../project/openapi.ts';
import { routesModule } from './routes-type.ts';
import { asRecord } from './schema-type.ts';

/** The types of everything that a catalog serves, as a module of TypeScript. */
export async function typesOfCatalog(catalog: Catalog): Promise<string> {
  const events = contractsOf(catalog).map(({ type, schema }) => [type, schema] as const);
  return routesModule(asRecord(await openApiOf(catalog)), new Map(events));
}

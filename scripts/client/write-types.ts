import type { Catalog } from '../../src/define/catalog.ts';
import { createApp } from '../../src/gateway/app.ts';
import { contractsOf } from '../project/contracts.ts';
import { routesModule } from './routes-type.ts';
import { asRecord } from './schema-type.ts';

/** No request is made: the document needs no ports. */
function noPorts(): never {
  throw new Error('The routes were asked for their ports while their types were written.');
}

/** The types of everything that a catalog serves, as a module of TypeScript. */
export function typesOfCatalog(catalog: Catalog): string {
  const app = createApp({ catalog, viewsOf: noPorts, portsOf: noPorts });
  const document = app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: 'Millrace', version: '1' } });
  const events = contractsOf(catalog).map(({ type, schema }) => [type, schema] as const);
  return routesModule(asRecord(JSON.parse(JSON.stringify(document))), new Map(events));
}

import type { Catalog } from '../../src/define/catalog.ts';
import { createApp } from '../../src/gateway/app.ts';

/** The OpenAPI document of a catalog, as a worker that serves it answers `GET /openapi.json`. */
export async function openApiOf(catalog: Catalog): Promise<unknown> {
  const app = createApp({ catalog, viewsOf: noPorts, portsOf: noPorts });
  const response = await app.request('/openapi.json', {}, {}, NO_CONTEXT);
  if (!response.ok) throw new Error(`The document could not be made: ${await response.text()}`);
  return await response.json();
}

/** The document needs no ports. */
function noPorts(): never {
  throw new Error('Only the document is served here.');
}

const NO_CONTEXT = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };

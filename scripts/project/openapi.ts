import type { Catalog } from '../../src/define/catalog.ts';
import { DEFAULT_LIMITS } from '../../src/define/limits.ts';
import { createApp, type GatewayPorts } from '../../src/gateway/app.ts';
import { Charging } from '../../src/gateway/limits/charging.ts';
import { systemTime } from '../../src/platform/clock.ts';

/** The OpenAPI document of a catalog, as a worker that serves it answers `GET /openapi.json`. */
export async function openApiOf(catalog: Catalog): Promise<unknown> {
  const app = createApp({ catalog, viewsOf: noPorts, portsOf: () => PORTS, countRequest: () => undefined });
  const response = await app.request('/openapi.json', {}, {}, NO_CONTEXT);
  if (!response.ok) throw new Error(`The document could not be made: ${await response.text()}`);
  return await response.json();
}

/** The document needs no ports. */
function noPorts(): never {
  throw new Error('Only the document is served here.');
}

const LIMITS = new Charging(DEFAULT_LIMITS, systemTime, noPorts, () => undefined, false);
/** Every request is charged before it is answered; it uses no other port. The cast is safe, since any other one throws. */
const PORTS = new Proxy({} as GatewayPorts, { get: (_, name) => (name === 'limits' ? LIMITS : noPorts()) });

const NO_CONTEXT = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };

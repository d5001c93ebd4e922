import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { deprecatedUsers } from '../../operations/deprecations.ts';
import type { CounterReport } from '../../platform/counters.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { completeRegistry, documentOf } from '../contract/document.ts';
import { InventoryItem, inventoryOf } from '../contract/inventory.ts';
import { deprecatedVersions } from '../deprecated-versions.ts';
import { json, keySecurity, problem } from '../openapi.ts';

export interface InventoryPorts {
  /** The counters of all isolates. @throws Failure `statistics_unavailable` */
  readonly counters: () => Promise<CounterReport>;
}

const Inventory = z.object({ operations: z.array(InventoryItem) });
const Deprecations = z.object({
  versions: z.array(
    z.object({
      version: z.string().openapi({
        description:
          'the name of a view, a type of events with its version, `entity` with the name of an entity whose writes are deprecated, or `model` with the name of a model',
      }),
      since: z.iso.date(),
      sunset: z.iso.date().nullable(),
      by: z.string().nullable().openapi({
        description: 'the path, the type, or the model that replaces it; null if nothing does',
      }),
      users: z
        .array(z.object({ principal: z.string(), total: z.int(), lastHour: z.int() }))
        .openapi({ description: 'requests by principal; the counts of the last seconds may be missing' }),
    }),
  ),
});

/** Serves what describes this deployment. Register it last: it describes the routes that were registered before. */
export function registerDescriptions(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  inventoryPorts: PortsOf<InventoryPorts>,
): void {
  describe(app);
  const operations = completeRegistry(app.openAPIRegistry, gateway.catalog);
  let document: string | undefined;
  app.get('/openapi.json', (c) => {
    document ??= documentOf(app, operations);
    return c.body(document, 200, { 'content-type': 'application/json' });
  });
  let inventory: z.input<typeof Inventory> | undefined;
  app.get('/v1/inventory', gateway.authorize, (c) => {
    inventory ??= { operations: inventoryOf(operations) };
    return c.json(inventory);
  });
  const versions = deprecatedVersions(gateway.catalog);
  app.get('/v1/admin/deprecations', async (c) => {
    const users = deprecatedUsers(await inventoryPorts(c).counters());
    const answer: z.input<typeof Deprecations> = {
      versions: versions.map(({ of: _, ...one }) => ({ ...one, users: users.get(one.version) ?? [] })),
    };
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
}

function describe({ openAPIRegistry: registry }: OpenAPIHono<AppEnv>): void {
  registry.registerPath({
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    summary: 'Describes all operations, as OpenAPI 3.1',
    tags: ['description'],
    responses: {
      200: json('The document.', z.looseObject({ openapi: z.string(), paths: z.looseObject({}) })),
    },
  });
  registry.registerPath({
    method: 'get',
    path: '/v1/inventory',
    operationId: 'getInventory',
    summary:
      'Lists all operations with phase, cost class, scope, cache policy, owner, version and deprecation',
    tags: ['description'],
    security: keySecurity,
    responses: { 200: json('The operations, by path and method.', Inventory) },
  });
  registry.registerPath({
    method: 'get',
    path: '/v1/admin/deprecations',
    operationId: 'listDeprecations',
    summary: 'Lists the deprecated versions with their announced end, and who still uses them',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: json('The versions, with the principals that use them.', Deprecations),
      503: problem('The counters do not answer.'),
    },
  });
}

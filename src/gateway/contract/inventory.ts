import { z } from '@hono/zod-openapi';
import { CONSISTENCY_LEVELS, TIERS } from '../../define/cache-policy.ts';
import { SCOPES } from '../../define/principal.ts';
import type { InventoryFacts } from '../../operations/gates/evidence.ts';
import { documentedPath } from '../counted-requests.ts';
import { COST_CLASSES, PHASES } from '../route-rules.ts';
import type { Registry } from './headers.ts';
import { type Operation, operationsOf } from './operations.ts';

/** The owner of routes that belong to no declaration of the catalog. */
const MILLRACE = 'millrace';

const End = z.object({
  since: z.iso.date(),
  sunset: z.iso.date().nullable(),
  by: z.string().nullable().openapi({ description: 'the path of what replaces it; null if nothing does' }),
});

/** One operation, as the inventory shows it. */
export const InventoryItem = z
  .object({
    operationId: z.string(),
    method: z.string(),
    path: z.string(),
    summary: z.string(),
    version: z.int().nullable().openapi({ description: 'of the path; null for a path without a version' }),
    deprecated: End.nullable(),
    owner: z.string().openapi({
      description: `as the declaration says; \`${MILLRACE}\` for its own routes, \`catalog\` for a declaration without one`,
    }),
    declaredBy: z
      .string()
      .nullable()
      .openapi({ description: 'the declaration of the catalog that it comes from' }),
    phase: z.enum(PHASES),
    cost: z.enum(COST_CLASSES),
    scope: z.enum(SCOPES).nullable().openapi({ description: 'null if no key is needed' }),
    cache: z
      .object({
        level: z.enum(CONSISTENCY_LEVELS),
        boundMs: z.number(),
        ttlS: z.number(),
        tiers: z.array(z.enum(TIERS)),
      })
      .nullable()
      .openapi({ description: 'the policy of a cached read; null for an answer that is not cached' }),
  })
  .openapi('InventoryItem');

/** All operations, by path and method. */
export function inventoryOf(operations: readonly Operation[]): z.input<typeof InventoryItem>[] {
  return operations
    .map(({ route, phase, cost, scope, catalog }) => ({
      operationId: route.operationId ?? '',
      method: route.method.toUpperCase(),
      path: route.path,
      summary: route.summary ?? '',
      version: versionOf(route.path),
      deprecated:
        catalog?.replaced === undefined
          ? null
          : {
              since: catalog.replaced.since,
              sunset: catalog.replaced.sunset ?? null,
              by: catalog.replaced.by ?? null,
            },
      owner: catalog === undefined ? MILLRACE : (catalog.owner ?? 'catalog'),
      declaredBy: catalog?.declaredBy ?? null,
      phase,
      cost,
      scope,
      cache: cacheOf(catalog?.policy),
    }))
    .toSorted((a, b) => compare(a.path, b.path) || compare(a.method, b.method));
}

/** Whether a documented path is one of a route: a parameter of the route may have a value of its own in the document. */
function isOfRoute(path: string, route: string): boolean {
  const [parts, wanted] = [path.split('/'), route.split('/')];
  return (
    parts.length === wanted.length &&
    wanted.every((part, at) => part === parts[at] || (part.startsWith('{') && parts[at] !== ''))
  );
}

/** Pages for people, which are no operations of the API. */
const PAGES = /^\/($|docs($|\/)|models$|dashboards($|\/)|assets\/)/;

/** Compares the operations of the document with the routes that are answered. Call it once all are registered. */
export function inventoryFacts(
  apps: readonly { readonly routes: readonly { readonly method: string; readonly path: string }[] }[],
  registry: Registry,
): InventoryFacts {
  const operations = operationsOf(registry).map(({ route }) => route);
  const name = (method: string, path: string) => `${method.toUpperCase()} ${path}`;
  // Middleware is registered for all methods, and the answer to OPTIONS for all paths.
  const routes = apps
    .flatMap((app) => app.routes)
    .filter(({ method, path }) => method !== 'ALL' && !path.endsWith('*') && !PAGES.test(path))
    .map(({ method, path }) => ({ method, path: documentedPath(path) }));
  const undocumented = routes.filter(
    (route) =>
      !operations.some(
        ({ method, path }) => method.toUpperCase() === route.method && isOfRoute(path, route.path),
      ),
  );
  const incomplete = operations.filter(
    ({ operationId, summary, responses }) =>
      !operationId || !summary || !Object.keys(responses).some((status) => status.startsWith('2')),
  );
  return {
    operations: operations.length,
    undocumented: [...new Set(undocumented.map(({ method, path }) => name(method, path)))],
    incomplete: incomplete.map(({ method, path }) => name(method, path)),
  };
}

function versionOf(path: string): number | null {
  const [, version] = /^\/v(\d+)\//.exec(path) ?? [];
  return version === undefined ? null : Number(version);
}

function cacheOf(policy: NonNullable<Operation['catalog']>['policy']) {
  if (policy === undefined) return null;
  const { level, boundMs, ttlS, tiers } = policy;
  return { level, boundMs, ttlS, tiers: [...tiers] };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

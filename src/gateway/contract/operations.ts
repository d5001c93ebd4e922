import { type RouteConfig, z } from '@hono/zod-openapi';
import type { CachePolicy } from '../../define/cache-policy.ts';
import type { Scope } from '../../define/principal.ts';
import type { RouteDeprecation } from '../../define/version.ts';
import { KEY_PATTERN, takesIdempotencyKey } from '../idempotency/key.ts';
import { evaluatesPreconditions } from '../middleware/conditional.ts';
import { failureFormAt } from '../problem.ts';
import { type CostClass, type Phase, type RouteRule, ruleOf } from '../route-rules.ts';
import { ANNOUNCED, CACHED_HEADERS, headersOf, type Registry } from './headers.ts';
import { failureHeaders, type OperationFacts, sharedAnswers } from './responses.ts';

/** What a route that belongs to the catalog says of itself. All other routes have a rule in `route-rules.ts`. */
export interface CatalogRoute extends Pick<RouteRule, 'phase' | 'cost' | 'scope'> {
  /** The declaration that the route comes from: `view products`. */
  readonly declaredBy: string;
  /** Who answers for it, if the declaration says so. */
  readonly owner: string | undefined;
  /** Its announced end. */
  readonly replaced: RouteDeprecation | undefined;
  /** The policy of the cache that answers it; undefined if none does. */
  readonly policy: CachePolicy | undefined;
  /** Whether an answer without a key differs from one with it. */
  readonly takesPrincipal: boolean;
}

/** What holds for one operation, whether its path belongs to the catalog or not. */
export interface Operation {
  readonly route: RouteConfig;
  readonly phase: Phase;
  readonly cost: CostClass;
  /** The scope that a key needs; null if no key is needed. */
  readonly scope: Scope | null;
  readonly catalog: CatalogRoute | undefined;
}

const CATALOG_ROUTES = new WeakMap<RouteConfig, CatalogRoute>();

/** Registers the operation of a route that belongs to the catalog. */
export function registerCatalogPath(registry: Registry, facts: CatalogRoute, route: RouteConfig): void {
  CATALOG_ROUTES.set(route, facts);
  registry.registerPath(route);
}

/**
 * All operations, with what holds for each.
 *
 * @throws Error for an operation that no rule names, and for one that needs a key and has no scope.
 */
export function operationsOf(registry: Registry): Operation[] {
  return registry.definitions.flatMap((definition) =>
    definition.type === 'route' ? [operationOf(definition.route)] : [],
  );
}

function operationOf(route: RouteConfig): Operation {
  const catalog = CATALOG_ROUTES.get(route);
  const method = route.method.toUpperCase();
  const rule = catalog ?? ruleOf(method, route.path);
  const needsKey = catalog === undefined && route.security?.[0]?.['key'] !== undefined;
  if (rule === undefined || (needsKey && rule.scope === null))
    throw new Error(
      `${method} ${route.path} has no rule, or needs a key and has no scope. Add it to src/gateway/route-rules.ts.`,
    );
  const { phase, cost } = rule;
  return { route, phase, cost, scope: catalog !== undefined || needsKey ? rule.scope : null, catalog };
}

/** Adds to each operation what follows from its rule: its security, the answers and headers that it shares. */
export function completeOperations(operations: readonly Operation[]): void {
  const paths = new Map<string, string>();
  for (const operation of operations) {
    complete(operation);
    unifyPath(operation.route, paths);
  }
}

/**
 * OpenAPI takes two paths that differ in the names of parameters alone for one path. A view and a write of one resource
 * may name its key differently; the names of the path that was registered first count for both.
 *
 * @param paths by their form without names.
 */
function unifyPath(route: RouteConfig, paths: Map<string, string>): void {
  const form = route.path.replaceAll(PARAMETER, '{}');
  const first = paths.get(form) ?? route.path;
  paths.set(form, first);
  if (first === route.path || route.request?.params === undefined) return;
  const names = parametersOf(first);
  const { params } = route.request;
  const shape = 'shape' in params ? params.shape : {};
  const renamed = parametersOf(route.path).map((name, index) => [names[index] ?? name, shape[name]]);
  route.request = { ...route.request, params: z.object(Object.fromEntries(renamed)) };
  route.path = first;
}

const PARAMETER = /\{(\w+)\}/g;

function parametersOf(path: string): string[] {
  return [...path.matchAll(PARAMETER)].map(([, name = '']) => name);
}

function complete({ route, phase, cost, scope, catalog }: Operation): void {
  const method = route.method.toUpperCase();
  const isCached = catalog?.policy !== undefined;
  const takesKey = catalog === undefined ? route.security !== undefined : catalog.takesPrincipal;
  const key = scope !== null ? 'needed' : takesKey ? 'taken' : 'ignored';
  const contents = Object.entries(route.responses).flatMap(([status, response]) =>
    status.startsWith('2') && 'content' in response ? Object.keys(response.content ?? {}) : [],
  );
  const facts: OperationFacts = {
    key,
    isCached,
    hasContent: contents.length > 0,
    isConditional: route.method === 'get' && !isCached && !contents.includes('text/event-stream'),
    refusesPreconditions: method !== 'GET' && !evaluatesPreconditions(method, route.path),
    hasBody: route.request?.body !== undefined,
    takesIdempotencyKey: takesIdempotencyKey(method, route.path),
    form: failureFormAt(route.path),
  };
  // An empty list means that no key is needed; a missing one would leave it open.
  route.security = scope !== null ? [{ key: [scope] }] : takesKey ? [{}, { key: [] }] : [];
  const needs = scope === null ? '' : ` Needs the scope \`${scope}\`.`;
  const said = (route.description ?? route.summary ?? '').replace(/\.$/, '');
  route.description = `${said}.${needs} Phase \`${phase}\`, cost class \`${cost}\`.`;
  const announced = catalog?.replaced === undefined ? [] : ANNOUNCED;
  if (announced.length > 0) route.deprecated = true;
  if (facts.takesIdempotencyKey) addHeaders(route, idempotencyHeaders);
  if (facts.isConditional) {
    addHeaders(route, conditionalHeaders);
    route.responses = { 304: NOT_MODIFIED, ...route.responses };
  }
  const declared = Object.entries(route.responses).map(([status, response]) => [
    status,
    '$ref' in response
      ? response
      : {
          ...response,
          headers: {
            ...answerHeaders(status, isCached, facts),
            ...(status.startsWith('2') ? headersOf(announced) : {}),
            ...response.headers,
          },
        },
  ]);
  route.responses = { ...sharedAnswers(facts), ...Object.fromEntries(declared) };
}

const idempotencyHeaders = z.object({
  'idempotency-key': z.string().regex(KEY_PATTERN).optional().openapi({
    description:
      'A key of this request, such as a random UUID (draft-ietf-httpapi-idempotency-key-header-07). A repetition with the same key, address and body within 24 hours is not carried out again and gets the same answer.',
  }),
});

const conditionalHeaders = z.object({
  'if-none-match': z.string().optional().openapi({
    description: '`ETag` of an earlier answer: if it is still current, the answer is 304 without a body.',
  }),
  'if-match': z.string().optional().openapi({
    description: '`ETag` of an earlier answer: if it is no longer current, the answer is 412.',
  }),
});

const NOT_MODIFIED = { description: 'The answer that the client has is still current.' };

function addHeaders(route: RouteConfig, headers: z.ZodObject): void {
  const declared = route.request?.headers;
  const shape = declared !== undefined && 'shape' in declared ? declared.shape : {};
  route.request = { ...route.request, headers: headers.extend(shape) };
}

function answerHeaders(status: string, isCached: boolean, facts: OperationFacts) {
  if (Number(status) >= 400) return headersOf(['X-Request-Id', ...failureHeaders(status)]);
  if (facts.takesIdempotencyKey) return headersOf(['X-Request-Id', 'Idempotency-Replayed']);
  if (facts.isConditional) return headersOf(['X-Request-Id', 'ETag']);
  return headersOf(isCached ? ['X-Request-Id', ...CACHED_HEADERS, 'ETag'] : ['X-Request-Id']);
}

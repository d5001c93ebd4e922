import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Scope } from '../define/principal.ts';
import type { AppEnv } from './context.ts';
import { scopeOf } from './route-rules.ts';

/** The body of every failure. */
const problemSchema = {
  'application/problem+json': {
    schema: z
      .object({
        type: z.string(),
        title: z.string(),
        status: z.int(),
        detail: z.string(),
        code: z.string(),
        requestId: z.string(),
        pointer: z.string().optional(),
      })
      .openapi('Problem'),
  },
};

/** Documents a status that ends with a problem. */
export function problem(description: string) {
  return { description, content: problemSchema };
}

/** The security of routes that require a key. `declareScopes` adds the scope and the statuses of a refusal. */
export const keySecurity = [{ key: [] }];

/** The `security` of a route: a key with the scope, none, or an optional key if the answer depends on the principal. */
export function securityOf(
  { isPublic, takesPrincipal = false }: { isPublic: boolean; takesPrincipal?: boolean },
  scope: Scope,
) {
  if (!isPublic) return { security: [{ key: [scope] }] };
  return takesPrincipal ? { security: [{}, ...keySecurity] } : {};
}

/** The 401 of a route that requires the key. */
export function unauthorizedOf({ isPublic }: { isPublic: boolean }) {
  return isPublic ? {} : { 401: problem('A key is needed.') };
}

/**
 * Completes the operations that need a key: with the scope of the route, and with the answers to a key that is missing
 * or lacks the scope.
 *
 * @throws Error for a route that needs a key and has no scope.
 */
export function declareScopes(registry: OpenAPIHono<AppEnv>['openAPIRegistry']): void {
  for (const definition of registry.definitions) {
    if (definition.type !== 'route') continue;
    const { route } = definition;
    const [needed] = route.security ?? [];
    if (needed?.['key'] === undefined) continue;
    const [declared] = needed['key'];
    const scope = declared ?? scopeOf(route.method.toUpperCase(), route.path);
    if (scope === undefined)
      throw new Error(
        `${route.method.toUpperCase()} ${route.path} needs a key and has no scope. Add it to src/gateway/route-rules.ts.`,
      );
    route.security = [{ key: [scope] }];
    route.responses[401] ??= problem('A key is needed.');
    route.responses[403] ??= problem(`The key lacks the scope \`${scope}\`.`);
  }
}

/** The request headers of every cached read. */
export const consistencyHeaders = z.object({
  'millrace-consistency': z
    .string()
    .optional()
    .openapi({ description: '`strong` or `bounded`; see docs/coherence.md.' }),
  'millrace-token': z
    .string()
    .optional()
    .openapi({ description: 'The answer is at least as fresh as the one that carried this token.' }),
});

import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import { EVERYTHING, keyTag, viewTag } from '../../cache/entry.ts';
import type { Catalog } from '../../define/catalog.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { readJson } from '../body.ts';
import { type CachedRoute, resolvePath, viewNames } from '../cached-routes.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { cachedRoutesOf } from '../model-routes.ts';
import { json, keySecurity, problem, TokenText } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;
const TAGS_MAX = 1_000;

const Purge = z.union([
  z.strictObject({ tags: z.array(z.string().min(1).max(512)).min(1).max(TAGS_MAX) }),
  z.strictObject({
    path: z
      .string()
      .regex(/^\/(?:[^%]|%[0-9A-Fa-f]{2})*$/, 'A path begins with a slash and is percent-encoded.')
      .max(4_096)
      .openapi({
        description:
          'the address, with its query, as a reader sends it. A cursor may have its signature or not; it is not verified',
      }),
  }),
  z.strictObject({ view: z.string().max(128) }),
  z.strictObject({ everything: z.literal(true) }),
  z.strictObject({
    epoch: z.literal('new').openapi({
      description:
        'begins a new epoch of the clock, as after a restore of the database: all cached answers are void, and tokens of before are refused with 412',
    }),
  }),
]);

export interface PurgePorts {
  /** Returns once the root clock has the invalidation on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<Token>;
  /** Voids everything that was cached before, and all tokens of before. Returns once the root clock has it on disk. */
  readonly beginEpoch: () => Promise<Token>;
}

/** Purges cached answers by tag, by path, by view, or all of them, also with their epoch. */
export function registerCacheAdmin(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  cacheOf: PortsOf<PurgePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/cache/purge',
    operationId: 'purgeCache',
    summary: 'Invalidates cached answers: by tags, by path, by view, or all',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Purge } } } },
    responses: {
      200: json(
        'Invalidated. Every strong read, and every read with the token, reflects it.',
        z.object({ token: TokenText }),
        ['Millrace-Token'],
      ),
      400: problem('The body has none of tags, path, view, everything and epoch.'),
      404: problem('No cached route has this path, or no view has this name.'),
    },
  });
  const cachedRoutes = cachedRoutesOf(gateway.catalog);
  app.post('/v1/admin/cache/purge', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const parsed = Purge.safeParse(body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new Failure('invalid_request', 'Send tags, path, view, everything: true, or epoch: "new".', {
        pointer: jsonPointer(issue?.path ?? []),
      });
    }
    const purge = purgeOf(gateway.catalog, cachedRoutes, parsed.data);
    const action = { action: 'cache.purge', target: targetOf(parsed.data), detail: parsed.data };
    const token = await gateway.audited(c, action, async () => {
      const result = formatToken(await purge(cacheOf(c)));
      return { result, after: { token: result } };
    });
    return c.json({ token }, 200, { 'millrace-token': token });
  });
}

function targetOf(purge: z.output<typeof Purge>): string {
  if ('tags' in purge) return purge.tags.join(' ');
  if ('everything' in purge) return 'everything';
  if ('epoch' in purge) return 'epoch';
  return 'path' in purge ? purge.path : purge.view;
}

/** @throws Failure if the purge names what there is not. */
function purgeOf(
  catalog: Catalog,
  cachedRoutes: readonly CachedRoute[],
  purge: z.output<typeof Purge>,
): (ports: PurgePorts) => Promise<Token> {
  if ('epoch' in purge) return (ports) => ports.beginEpoch();
  const tags = tagsOf(catalog, cachedRoutes, purge);
  return (ports) => ports.invalidate(tags);
}

function tagsOf(
  catalog: Catalog,
  cachedRoutes: readonly CachedRoute[],
  purge: Exclude<z.output<typeof Purge>, { epoch: 'new' }>,
): string[] {
  if ('tags' in purge) return purge.tags;
  if ('everything' in purge) return [EVERYTHING];
  if ('path' in purge) return [keyTag(resolvePath(cachedRoutes, purge.path).key)];
  if (viewNames(catalog).includes(purge.view)) return [viewTag(purge.view)];
  throw new Failure('not_found', `The views are ${viewNames(catalog).join(', ')}.`, { pointer: '/view' });
}

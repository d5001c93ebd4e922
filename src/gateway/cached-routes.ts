import type { z } from '@hono/zod-openapi';
import type { HonoRequest } from 'hono';
import { cacheKey } from '../cache/cache-key.ts';
import type { Catalog } from '../define/catalog.ts';
import type { Variant } from '../define/vary.ts';
import { Failure } from '../platform/failure.ts';
import { assertEncoded, assertShort, pathPattern, searchOf } from './address.ts';
import { placeOf, queryCursors, refused, type SentCursors, withoutSignatures } from './cursors.ts';
import { parametersOf, queryFormOf } from './query.ts';

/** A route whose answers are cached, and how its input becomes a key. */
export interface CachedRoute {
  /** The name of the route in purges and metrics. */
  readonly view: string;
  /** With parameters in braces. */
  readonly path: string;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
}

/**
 * The form of what is stored under the keys of answers. It changes when answers that an earlier release has stored must
 * not be served: those of the first form name the keys of features, and not the groups that folds invalidate.
 */
const ANSWERS = 'view2/';

/**
 * The key of an answer. `input` has been parsed, so equal requests have equal keys. A purge uses the key without a
 * variant, which all variants share.
 */
export function keyOf({ view }: Pick<CachedRoute, 'view'>, input: unknown, variant: Variant = {}): string {
  return cacheKey(view, input, variant, ANSWERS);
}

/**
 * The view and the key, without variants, for a path with its query, as a client would request it. A cursor may have its
 * signature or not: the key has none.
 *
 * @throws Failure `not_found` if no cached route matches, `invalid_request` or `invalid_cursor` if its parameters are
 *   wrong.
 */
export function resolvePath(
  routes: readonly CachedRoute[],
  path: string,
): { view: string; key: string; input: Readonly<Record<string, unknown>> } {
  const url = URL.parse(path, 'https://cache.invalid');
  if (url === null) throw new Failure('not_found', 'No cached route has this path.', { pointer: '/path' });
  assertEncoded(url.pathname + url.search, '/path', 'unprocessable');
  for (const route of routes) {
    const match = pathPattern(route.path).exec(url.pathname);
    if (match === null) continue;
    const parameters = Object.entries(match.groups ?? {}).map(([name, text]) => [
      name,
      decodeURIComponent(text),
    ]);
    const query = parametersOf(url.search, queryFormOf(route.query), '/path/');
    const places = queryCursors(route.query).flatMap((name) => {
      const text = query[name];
      return text === undefined ? [] : [[name, placeOf(text)] as const];
    });
    const input = {
      ...parsed(route.params, Object.fromEntries(parameters), '/path/'),
      ...parsed(route.query, { ...query, ...Object.fromEntries(places) }, '/path/'),
    };
    return { view: route.view, key: keyOf(route, input), input };
  }
  throw new Failure('not_found', 'No cached route has this path.', { pointer: '/path' });
}

/** Hono's spelling of a path with parameters in braces. */
export function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

/** The key and the input that a request's address resolves to. */
export interface Asked {
  readonly input: Readonly<Record<string, unknown>>;
  /** Without variants. */
  readonly key: string;
  /** The parameters of the path, as they were sent. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The cursors of the query with their signatures, which are not verified yet; undefined if there are none. */
  readonly cursors: SentCursors | undefined;
}

/** @throws Failure as `inputOf` does. */
export function askedOf(route: CachedRoute, request: HonoRequest): Asked {
  const { input, cursors } = inputOf(route, request);
  Object.freeze(input);
  return { input, key: keyOf(route, input), parameters: request.param(), cursors };
}

/**
 * The input of a request to a cached route. Hono's validators are not used for it: they parse path, query and headers
 * of each request one by one, and would take a warm hit as long as everything else.
 *
 * @throws Failure `invalid_request` or `invalid_cursor` with the name of the parameter that is wrong.
 */
export function inputOf(
  route: Pick<CachedRoute, 'params' | 'query'>,
  request: HonoRequest,
): { readonly input: Record<string, unknown>; readonly cursors: SentCursors | undefined } {
  assertShort(request.url);
  assertEncoded(request.url, 'address');
  const params = parsed(route.params, request.param(), '');
  const sent = parametersOf(searchOf(request.url), queryFormOf(route.query), '');
  const { query, cursors } = withoutSignatures(sent, queryCursors(route.query));
  return { input: { ...params, ...parsed(route.query, query, '') }, cursors };
}

function parsed(schema: z.ZodObject, value: unknown, pointerPrefix: string): Record<string, unknown> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const [first] = issue?.path ?? [];
  if (typeof first === 'string' && queryCursors(schema).includes(first)) throw refused(first, pointerPrefix);
  throw new Failure('invalid_request', issue?.message ?? 'Not valid.', {
    pointer: pointerPrefix + (issue?.path ?? []).map(String).join('.'),
  });
}

/** The names of all views and models that a purge may name. */
export function viewNames(catalog: Catalog): string[] {
  return [...catalog.views.map(({ name }) => name), ...catalog.models.map(({ name }) => name)];
}

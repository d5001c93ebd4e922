import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { CachedAnswer } from '../../cache/cached-answer.ts';
import type { ReadRequest } from '../../cache/read-through.ts';
import { ANONYMOUS, type Principal, principalKey } from '../../define/principal.ts';
import type { ViewRowsDefinition } from '../../define/rows.ts';
import type { Variant } from '../../define/vary.ts';
import type { Loaded, ViewDefinition, ViewRequest } from '../../define/view.ts';
import { systemNow } from '../../platform/clock.ts';
import type { Span } from '../../platform/tracing/span.ts';
import { assertAcceptsJson } from '../accept.ts';
import { CachedResponses, consistencyOf, missingResponse } from '../cached-response.ts';
import { type Asked, askedOf, honoPath, keyOf } from '../cached-routes.ts';
import { type AppEnv, idOfRequest, type ReadContext } from '../context.ts';
import { pascalCase } from '../contract/operation-id.ts';
import { registerCatalogPath } from '../contract/operations.ts';
import { NO_PAGES } from '../cors.ts';
import { verifyCursors } from '../cursors.ts';
import { announce } from '../deprecation.ts';
import { type AnswerRead, KnownReads } from '../known-reads.ts';
import { chargeFill, chargeHit, type ReaderPorts } from '../limits/reader.ts';
import { unitsOf } from '../limits/weights.ts';
import { admit } from '../middleware/authorize.ts';
import { cachedReadHeaders, json, problem } from '../openapi.ts';
import { ownDimensionsOf } from '../partition.ts';
import { assertOwnRows, ownerOf } from '../principals/row-access.ts';
import { VIEW_RULE } from '../route-rules.ts';
import { type Variants, variantsOf } from '../variants.ts';

/** One object for all requests of an isolate, so that a warm hit does not allocate one. */
export interface ViewPorts extends ReaderPorts {
  /** Verifies the signatures of cursors. */
  readonly cursorKey: Uint8Array;
  /** Counts a request of a deprecated version. */
  noteDeprecated(version: string, principal: Principal | undefined): void;
  /** Reads through the cache. An answer in memory is returned without a promise, which costs more than the look-up. */
  read(
    request: ReadRequest,
    http: Request,
    ctx: { waitUntil(promise: Promise<unknown>): void },
  ): CachedAnswer | Promise<CachedAnswer>;
  /**
   * Reads a view's answer from the origin as of `now`, with the moment of the clock that it reflects, and signs its
   * cursors.
   */
  load(view: ViewDefinition, request: ViewRequest, now: number, span?: Span): Promise<Loaded>;
}

/**
 * Serves a view: `GET` of its path, through the cache.
 *
 * @param known the reads that the app answers without routing them again.
 */
export function registerView(
  app: OpenAPIHono<AppEnv>,
  readsOf: (c: ReadContext) => ViewPorts,
  view: ViewDefinition,
  known = new KnownReads(),
  pages = NO_PAGES,
): void {
  const variants = variantsOf(view);
  const asksForKey = !view.isPublic || view.takesPrincipal;
  const { rows } = view;
  const guard = { isPublic: view.isPublic, scope: VIEW_RULE.scope, limitsRows: rows !== undefined };
  const hasVariants = variants.headers.length > 0;
  const ownDimensions = ownDimensionsOf(view);
  const facts = {
    ...VIEW_RULE,
    scope: view.isPublic ? null : VIEW_RULE.scope,
    declaredBy: `view ${view.name}`,
    owner: view.owner,
    replaced: view.replaced,
    policy: view.policy,
    takesPrincipal: view.takesPrincipal,
  };
  registerCatalogPath(app.openAPIRegistry, facts, {
    method: 'get',
    path: view.path,
    operationId: `read${pascalCase(view.name)}`,
    summary: view.description,
    tags: ['views'],
    request: { params: view.params, query: view.query, headers: headersOf(variants) },
    responses: {
      200: json(view.description, view.response),
      304: { description: 'The answer that the client has is still current.' },
      404: problem('The view has no answer for these parameters.'),
      412: problem('`Millrace-Token` is from another epoch of the clock, or from the future.'),
      500: problem('The code of the view failed; the log has its name and the error.'),
      503: problem('The origin does not answer, and the cache has no entry that may be served.'),
    },
  });
  const route = { view: view.name, path: view.path, params: view.params, query: view.query };
  const responses = new CachedResponses(
    [...(asksForKey ? ['Authorization'] : []), ...pages.vary, ...variants.headers],
    pages.headers,
  );
  const answer: AnswerRead = (c, ask) => {
    const { headers } = c.req.raw;
    if (!asksForKey) return charged(c, headers, undefined, ask);
    const reader = admit(c, guard, readsOf(c), headers);
    // A promise costs a warm hit more than the look-up, so there is one only for a key that the isolate does not know.
    return reader instanceof Promise
      ? reader.then((admitted) => charged(c, headers, admitted, ask))
      : charged(c, headers, reader, ask);
  };
  app.get(honoPath(view.path), (c) =>
    answer(c, () => known.remember(c.req.url, view.path, askedOf(route, c.req), answer)),
  );
  function charged(
    c: ReadContext,
    headers: Headers,
    reader: Principal | undefined,
    ask: () => Asked,
  ): Response | Promise<Response> {
    const charging = chargeHit(c, headers, reader, readsOf(c));
    return charging === undefined
      ? serve(c, headers, reader, ask)
      : charging.then(() => serve(c, headers, reader, ask));
  }
  /** Answers a reader who was admitted; undefined if the view asks for no key. */
  function serve(
    c: ReadContext,
    headers: Headers,
    reader: Principal | undefined,
    ask: () => Asked,
  ): Response | Promise<Response> {
    const request = c.req.raw;
    assertAcceptsJson(headers);
    const principal = view.takesPrincipal ? reader : undefined;
    const startedAt = systemNow();
    const reads = readsOf(c);
    const { input, key: purgeKey, parameters, cursors } = ask();
    const owner = rows === undefined ? undefined : ownerIn(rows, reader, input);
    if (cursors !== undefined) verifyCursors(reads.cursorKey, view, { input, principal, owner }, cursors);
    const variant = hasVariants ? variants.of(request) : NO_VARIANT;
    const own = ownDimensions(principal === undefined ? undefined : principalKey(principal), owner);
    const isWhole = !hasVariants && own === undefined;
    const respond = (found: CachedAnswer, tookMs: number): Response => {
      const response = responses.of(found, headers, tookMs);
      if (view.replaced !== undefined) announce(response, view.replaced, parameters);
      pages.mark?.(response, request);
      if (found.entry.body !== 'null') return response;
      return missingResponse(
        response,
        `There is no ${view.name} with these parameters.`,
        idOfRequest(headers),
      );
    };
    if (view.replaced !== undefined) reads.noteDeprecated(view.name, reader);
    const wanted = {
      view: view.name,
      key: isWhole ? purgeKey : keyOf(route, input, { ...variant, ...own }),
      purgeKey,
      policy: view.policy,
      consistency: consistencyOf(headers),
      input,
      variant,
      principal,
      owner,
      grainMs: view.grainMs,
      beforeFill: () => chargeFill(c, reader, FILL, reads),
      load: (now: number, span?: Span) => reads.load(view, { input, variant, principal, owner }, now, span),
    };
    const found = reads.read(wanted, request, c.executionCtx);
    if (!(found instanceof Promise)) return respond(found, 0);
    return found.then((late) => respond(late, systemNow() - startedAt));
  }
}

const NO_VARIANT: Variant = {};
/** Beyond the unit for the answer itself. */
const FILL = { cost: VIEW_RULE.cost, units: unitsOf('fill') } as const;

/**
 * Whose rows a view reads for a reader; undefined if the request says that itself.
 *
 * @throws Failure `claim_missing`, `outside_rows`
 */
function ownerIn(
  { claim, of }: ViewRowsDefinition,
  reader: Principal | undefined,
  input: unknown,
): string | null | undefined {
  const principal = reader ?? ANONYMOUS;
  if (of === undefined) return ownerOf(principal, claim);
  assertOwnRows(principal, { claim, of }, input, undefined);
  return undefined;
}

function headersOf({ headers }: Variants) {
  return cachedReadHeaders.extend(
    Object.fromEntries(headers.map((header) => [header.toLowerCase(), z.string().optional()])),
  );
}

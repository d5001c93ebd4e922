import { createMiddleware } from 'hono/factory';
import { Failure } from '../../platform/failure.ts';
import { assertShort } from '../address.ts';
import { type AppEnv, requestIdOf } from '../context.ts';

/** For answers that say nothing else: JSON is no document that loads anything, and no page may frame it. */
const DATA_ONLY = "default-src 'none'; frame-ancestors 'none'";

/**
 * Middleware that sets the headers of every answer but cached ones: the id of the request, and `nosniff` (WHATWG Fetch
 * §3.6), by which a browser keeps to the content type. No cache keeps an answer whose route does not allow it, and no
 * browser runs or frames one. A cached read passes through no middleware: it sets the id and `nosniff` itself, but no id on
 * a hit in the isolate's memory (docs/decisions/0014-the-id-of-a-warm-hit.md).
 */
export const answerHeaders = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  // In place: hono's `c.header` would copy the whole answer for each of them.
  const { headers } = c.res;
  headers.set('x-request-id', requestIdOf(c));
  headers.set('x-content-type-options', 'nosniff');
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
  if (!headers.has('content-security-policy')) headers.set('content-security-policy', DATA_ONLY);
});

/** The most characters of all headers, with their names: half of what the platform takes. No client needs a tenth of it. */
const HEADERS_CHARACTERS_MAX = 65_536;

/**
 * Middleware that refuses an address or headers which are too long, before anything reads them. A cached read refuses the
 * address where it parses it, and reads no header whose length matters.
 */
export const headIsBounded = createMiddleware<AppEnv>(async (c, next) => {
  assertShort(c.req.url);
  let characters = 0;
  for (const [name, value] of c.req.raw.headers) characters += name.length + value.length;
  if (characters > HEADERS_CHARACTERS_MAX)
    throw new Failure(
      'headers_too_large',
      `The headers have ${characters} characters; at most ${HEADERS_CHARACTERS_MAX} are allowed.`,
    );
  await next();
});

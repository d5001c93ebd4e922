import { createMiddleware } from 'hono/factory';
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
  const { headers } = c.res;
  c.header('x-request-id', requestIdOf(c));
  c.header('x-content-type-options', 'nosniff');
  if (!headers.has('cache-control')) c.header('cache-control', 'no-store');
  if (!headers.has('content-security-policy')) c.header('content-security-policy', DATA_ONLY);
});

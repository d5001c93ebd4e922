import { createMiddleware } from 'hono/factory';
import { type AppEnv, requestIdOf } from '../context.ts';

/**
 * Middleware that sets the headers of every answer but cached ones: the id of the request, and `nosniff` (WHATWG Fetch
 * §3.6), by which a browser keeps to the content type. A cached read passes through no middleware: its failures and
 * 404s have both headers, its other answers neither.
 */
export const answerHeaders = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  c.header('x-request-id', requestIdOf(c));
  c.header('x-content-type-options', 'nosniff');
});

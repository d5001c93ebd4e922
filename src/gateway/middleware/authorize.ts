import { createMiddleware } from 'hono/factory';
import { equalInConstantTime, sha256Hex } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import type { AppEnv } from '../context.ts';

/** Reads that need a body. Everything else that is not a GET is a write. */
const OPEN_POSTS = [/^\/v1\/predictions\/[^/]+$/, /^\/v1\/features\/read$/];

/**
 * Lets open reads through and asks for the key everywhere else: what is forgotten here is closed, not open.
 * The key is compared by its SHA-256, in constant time.
 */
export const authorize = createMiddleware<AppEnv>(async (c, next) => {
  if (!isOpen(c.req.method, c.req.path)) {
    const key = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
    const { apiKeySha256 } = c.var.services.config;
    if (!equalInConstantTime(await sha256Hex(key), apiKeySha256)) {
      throw new Failure('unauthorized', 'Send the key as "Authorization: Bearer <key>".', {
        pointer: 'Authorization',
      });
    }
  }
  await next();
});

function isOpen(method: string, path: string): boolean {
  if (/^\/v1\/admin(\/|$)/i.test(path)) return false;
  if (method === 'GET' || method === 'HEAD') return true;
  return method === 'POST' && OPEN_POSTS.some((open) => open.test(path));
}

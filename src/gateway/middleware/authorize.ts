import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { equalInConstantTime, sha256Hex } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import type { AppEnv } from '../context.ts';

/** What a request is let in by. */
export interface AccessPorts {
  /** SHA-256 of the key, in lower case. */
  readonly apiKeySha256: string;
}

/** Reads that need a body. */
const OPEN_POSTS = [/^\/v1\/predictions\/[^/]+$/, /^\/v1\/features\/read$/];

/**
 * Middleware that asks for the key and compares its SHA-256 in constant time.
 *
 * @param expected the SHA-256 of the key, in lower case.
 */
export function authorizeBy(expected: (c: Context<AppEnv>) => string) {
  return createMiddleware<AppEnv>(async (c, next) => {
    if (!isOpen(c.req.method, c.req.path)) {
      const key = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
      if (!equalInConstantTime(await sha256Hex(key), expected(c))) {
        throw new Failure('unauthorized', 'Send the key as "Authorization: Bearer <key>".', {
          pointer: 'Authorization',
        });
      }
    }
    await next();
  });
}

function isOpen(method: string, path: string): boolean {
  return method === 'POST' && OPEN_POSTS.some((open) => open.test(path));
}

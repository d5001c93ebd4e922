import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { sha256Hex } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import { matchesStrongly, matchesWeakly } from '../cached-response.ts';
import type { AppEnv } from '../context.ts';
import { ruleOf, WRITE_RULE } from '../route-rules.ts';

/** Digits of a digest in an entity tag: 128 bits, so that no two bodies of a resource have the same by chance. */
const TAG_DIGITS = 32;
/** Headers that describe a body, which 304 does not have (RFC 9110 §15.4.5). */
const OF_THE_BODY = ['content-type', 'content-length', 'content-encoding'];

/**
 * Middleware for conditional reads of uncached routes (RFC 9110 §13): each answer with a body has an entity tag, the digest
 * of its bytes, and is 304 for a client that has it. `If-Match` is 412 for a client that does not. The route still does its
 * work: this saves the bytes and tells a client that nothing has changed. Streams have no tag, because they have no end.
 *
 * Cached reads have the tags of their entries (`cached-response.ts`), and writes of rows compare versions within their
 * transaction (`preconditions.ts`).
 */
export const conditionalReads = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  const isRead = c.req.method === 'GET' || c.req.method === 'HEAD';
  const { status, body, headers } = c.res;
  if (!isRead || status !== 200 || body === null || isStream(headers)) return;
  const bytes = new Uint8Array(await c.res.arrayBuffer());
  const etag = headers.get('etag') ?? `"${(await sha256Hex(bytes)).slice(0, TAG_DIGITS)}"`;
  const answer = new Headers(headers);
  answer.set('etag', etag);
  const match = c.req.header('if-match');
  // Hono would copy the headers of the earlier response to the new one.
  c.res = undefined;
  if (match !== undefined && !matchesStrongly(match, etag))
    throw new Failure('precondition_failed', 'The resource has another entity tag. Read it again.', {
      pointer: 'If-Match',
    });
  if (!matchesWeakly(c.req.header('if-none-match') ?? null, etag)) {
    c.res = new Response(bytes, { headers: answer });
    return;
  }
  for (const name of OF_THE_BODY) answer.delete(name);
  c.res = new Response(null, { status: 304, headers: answer });
});

/** Methods of reads, whose preconditions are evaluated where they are answered; OPTIONS ignores them (RFC 9110 §13.2.1). */
const SAFE = ['GET', 'HEAD', 'OPTIONS'];

/** Whether an operation is a write of a row, which evaluates its preconditions itself. */
export function evaluatesPreconditions(method: string, path: string): boolean {
  return ruleOf(method, path)?.scope === WRITE_RULE.scope;
}

/**
 * Middleware that refuses a precondition of an operation that does not evaluate it: only writes of rows do. Carrying the
 * request out would be what its sender forbids (RFC 9110 §13.1.1, §13.1.2). `If-None-Match` is true where the resource
 * has no representation, so it is refused only at paths with a GET.
 *
 * @param allowedOf the methods of the path; undefined if it has none.
 */
export function unsupportedPreconditions(allowedOf: (c: Context<AppEnv>) => string | undefined) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const { method, path } = c.req;
    const match = c.req.header('if-match');
    const noneMatch = c.req.header('if-none-match');
    const isConditional = match !== undefined || noneMatch !== undefined;
    if (isConditional && !SAFE.includes(method) && !evaluatesPreconditions(method, path)) {
      const methods = allowedOf(c)?.split(', ') ?? [];
      const isFalse = match !== undefined || methods.includes('GET');
      // Where no route answers, the precondition is ignored: that answer is 404 or 405.
      if (isFalse && methods.includes(method))
        throw unsupported(match === undefined ? 'If-None-Match' : 'If-Match');
    }
    await next();
  });
}

function unsupported(header: string): Failure {
  return new Failure(
    'precondition_unsupported',
    `This operation does not evaluate ${header}, and nothing was done. Send the request without it.`,
    { pointer: header },
  );
}

function isStream(headers: Headers): boolean {
  return headers.get('content-type')?.startsWith('text/event-stream') === true;
}

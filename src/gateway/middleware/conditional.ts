import { createMiddleware } from 'hono/factory';
import { sha256Hex } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import { matchesStrongly, matchesWeakly } from '../cached-response.ts';
import type { AppEnv } from '../context.ts';

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

function isStream(headers: Headers): boolean {
  return headers.get('content-type')?.startsWith('text/event-stream') === true;
}

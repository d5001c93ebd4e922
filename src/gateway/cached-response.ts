import { parseToken } from '../cache/clock/token.ts';
import type { CachedAnswer, Consistency } from '../cache/read-through.ts';
import { CONSISTENCY_LEVELS } from '../catalog/define/cache-policy.ts';
import { Failure } from '../platform/failure.ts';
import { problemResponse } from './problem.ts';

/** What the reader asks for, from its headers. */
export function consistencyOf(request: Request): Consistency {
  const wanted = request.headers.get('millrace-consistency');
  const level = CONSISTENCY_LEVELS.find((known) => known === wanted);
  if (wanted !== null && level === undefined) {
    throw new Failure('invalid_request', `Millrace-Consistency is one of ${CONSISTENCY_LEVELS.join(', ')}.`, {
      pointer: 'Millrace-Consistency',
    });
  }
  const token = request.headers.get('millrace-token');
  return { level, atLeast: token === null ? undefined : parseToken(token) };
}

/**
 * A cached answer as a response, with everything that tells how fresh it is. Each header costs a warm hit a
 * microsecond, so none is sent that tells nothing: no `Server-Timing` for what took no time.
 */
export function cachedResponse(
  answer: CachedAnswer,
  request: Request,
  startedAt: number,
  now: number,
): Response {
  const { entry } = answer;
  const missing = entry.body === 'null';
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    etag: entry.etag,
    age: String(answer.ageS),
    'cache-status': cacheStatus(answer),
    // Caches that we cannot invalidate may keep the answer for what is left of its bound, and then have to ask.
    'cache-control': `private, max-age=${answer.maxAgeS}, must-revalidate`,
    vary: 'Millrace-Consistency, Millrace-Token',
  };
  if (now > startedAt) headers['server-timing'] = `total;dur=${now - startedAt}`;
  if (answer.token !== undefined) headers['millrace-token'] = answer.token;
  if (!missing && matches(request.headers.get('if-none-match'), entry.etag)) {
    delete headers['content-type'];
    return new Response(null, { status: 304, headers });
  }
  return new Response(entry.body, { status: 200, headers });
}

/** A cached "there is no such thing": a problem document that carries the cache's headers. */
export function missingResponse(response: Response, what: string, requestId: string): Response {
  const problem = problemResponse(new Failure('not_found', what), requestId);
  const headers = new Headers(response.headers);
  headers.set('content-type', 'application/problem+json');
  headers.delete('etag');
  return new Response(problem.body, { status: problem.status, headers });
}

/** RFC 9211. */
function cacheStatus({ source, ttlS, unverified }: CachedAnswer): string {
  if (source.hit) return `millrace; hit; ttl=${ttlS}; detail=${detailOf(source, unverified)}`;
  const parts = ['millrace', `fwd=${source.forward}`, ...flags(source)];
  const reason = unverified ?? source.because;
  if (reason !== undefined) parts.push(`detail=${reason}`);
  return parts.join('; ');
}

function flags({ stored, collapsed }: Extract<CachedAnswer['source'], { hit: false }>): string[] {
  return [...(stored ? ['stored'] : []), ...(collapsed ? ['collapsed'] : [])];
}

/** The tier that had it, unless there is more to know: that nobody could verify it, or that it is being renewed. */
function detailOf(
  source: Extract<CachedAnswer['source'], { hit: true }>,
  unverified: CachedAnswer['unverified'],
) {
  if (unverified !== undefined) return 'unverified';
  return source.stale ? `${source.tier}-stale` : source.tier;
}

/** Weak comparison (RFC 9110 §13.1.2). */
function matches(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  return ifNoneMatch.split(',').some((candidate) => {
    const tag = candidate.trim();
    return tag === '*' || tag.replace(/^W\//, '') === etag;
  });
}

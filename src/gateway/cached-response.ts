import { parseToken } from '../cache/clock/clock.ts';
import type { CachedAnswer, Consistency } from '../cache/read-through.ts';
import { CONSISTENCY_LEVELS } from '../define/cache-policy.ts';
import { Failure } from '../platform/failure.ts';
import { problemResponse } from './problem.ts';

/** The consistency of a request without the two headers. */
const AS_THE_POLICY_SAYS: Consistency = { level: undefined, atLeast: undefined };

/** What every cached answer varies on. */
const VARY = 'Millrace-Consistency, Millrace-Token';

/** The consistency that a request asks for in its headers. */
export function consistencyOf({ headers }: Request): Consistency {
  const wanted = headers.get('millrace-consistency');
  const token = headers.get('millrace-token');
  if (wanted === null && token === null) return AS_THE_POLICY_SAYS;
  const level = CONSISTENCY_LEVELS.find((known) => known === wanted);
  if (wanted !== null && level === undefined) {
    throw new Failure('invalid_request', `Millrace-Consistency is one of ${CONSISTENCY_LEVELS.join(', ')}.`, {
      pointer: 'Millrace-Consistency',
    });
  }
  return { level, atLeast: token === null ? undefined : parseToken(token) };
}

/** Responses that each route keeps ready: few answers are read several times a second. */
const READY_MAX = 256;

/** The response to the last hit of an entity tag, with the facts that its headers show. */
interface Ready {
  readonly answer: Omit<CachedAnswer, 'entry'>;
  /** It has no body, so it belongs to no request. It is copied and never sent itself. */
  readonly ready: Response;
}

/**
 * Makes the responses of one cached route. Headers count in whole seconds, so the headers of a busy answer stay the
 * same for a while. Copying them from another response costs the runtime a third of what an object's properties cost.
 */
export class CachedResponses {
  readonly #vary: string;
  readonly #ready = new Map<string, Ready>();

  /** @param varyOn the request headers on which its answers depend, in addition to those of every cached route. */
  constructor(varyOn: readonly string[] = []) {
    this.#vary = [VARY, ...varyOn].join(', ');
  }

  /**
   * The response to a cached answer, with headers that show how fresh it is. Each header costs a warm hit a
   * microsecond, so empty ones are omitted: an answer that took no time has no `Server-Timing`.
   *
   * @param tookMs how long the answer took, in milliseconds: the worker's clock stands still between I/O.
   */
  of(answer: CachedAnswer, request: Request, tookMs: number): Response {
    const { body, etag } = answer.entry;
    if (body !== 'null' && matches(request.headers.get('if-none-match'), etag))
      return new Response(null, { status: 304, headers: this.#headersOf(answer, tookMs) });
    if (!answer.source.hit || tookMs > 0) return this.#response(answer, tookMs);
    const last = this.#ready.get(etag);
    if (last !== undefined && tellTheSame(last.answer, answer)) return new Response(body, last.ready);
    const response = this.#response(answer, tookMs);
    const { entry: _, ...facts } = answer;
    this.#keepReady(etag, { answer: facts, ready: new Response(null, response) });
    return response;
  }

  #response(answer: CachedAnswer, tookMs: number): Response {
    const headers = { 'content-type': 'application/json', ...this.#headersOf(answer, tookMs) };
    return new Response(answer.entry.body, { headers });
  }

  #headersOf(answer: CachedAnswer, tookMs: number): Record<string, string> {
    const headers: Record<string, string> = {
      etag: answer.entry.etag,
      age: String(answer.ageS),
      'cache-status': cacheStatus(answer),
      // Caches that Millrace cannot invalidate may keep the answer for the rest of its bound, and must revalidate it
      // then.
      'cache-control': `private, max-age=${answer.maxAgeS}, must-revalidate`,
      vary: this.#vary,
    };
    if (tookMs > 0) headers['server-timing'] = `total;dur=${tookMs}`;
    if (answer.token !== undefined) headers['millrace-token'] = answer.token;
    return headers;
  }

  #keepReady(etag: string, ready: Ready): void {
    if (this.#ready.size >= READY_MAX && !this.#ready.has(etag)) {
      const [oldest = etag] = this.#ready.keys();
      this.#ready.delete(oldest);
    }
    this.#ready.set(etag, ready);
  }
}

/** Whether two hits of one entity tag have the same headers. */
function tellTheSame(a: Omit<CachedAnswer, 'entry'>, b: CachedAnswer): boolean {
  return (
    a.ageS === b.ageS &&
    a.ttlS === b.ttlS &&
    a.maxAgeS === b.maxAgeS &&
    a.token === b.token &&
    a.unverified === b.unverified &&
    isSameHit(a.source, b.source)
  );
}

function isSameHit(a: CachedAnswer['source'], b: CachedAnswer['source']): boolean {
  return a.hit && b.hit && a.tier === b.tier && a.stale === b.stale;
}

/** The 404 of a cached answer that is `null`: a problem document with the cache's headers. */
export function missingResponse(response: Response, what: string, requestId: string): Response {
  const problem = problemResponse(new Failure('not_found', what), requestId);
  const headers = new Headers(response.headers);
  for (const name of ['content-type', 'x-request-id', 'x-content-type-options'])
    headers.set(name, problem.headers.get(name) ?? '');
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

/** The tier of a hit; `unverified` if the clock could not verify it, `…-stale` while it is being refreshed. */
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

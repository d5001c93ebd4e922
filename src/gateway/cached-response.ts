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

/** The facts that the headers of a hit show. */
type Facts = Omit<CachedAnswer, 'entry' | 'judgedSeq'>;

/** The last hit of an entity tag. */
interface LastHit {
  readonly facts: Facts;
  /** The headers that show them, from the second such hit on: many answers are not read twice before their age changes. */
  headers: Headers | undefined;
}

/**
 * The most hits of one of the two generations that each route keeps: with headers of about 2 KB each, 4 MB in all.
 * An answer that is read less than once a second profits little, and at 10,000 reads a second by Zipf's law about 1,000
 * answers are read that often.
 */
const GENERATION_MAX = 1_024;

/**
 * Makes the responses of one cached route. Headers count in whole seconds, so the headers of a busy answer stay the
 * same for a while. Copying them from another `Headers` costs the runtime a third of what an object's properties cost,
 * and less than copying them from another response.
 */
export class CachedResponses {
  readonly #vary: string;
  readonly #constant: Readonly<Record<string, string>>;
  /** Hits since the last generation began, and those of the generation before: what is in neither was not read lately. */
  #young = new Map<string, LastHit>();
  #old = new Map<string, LastHit>();

  /**
   * @param varyOn the request headers on which its answers depend, in addition to those of every cached route.
   * @param constant further headers of every answer.
   */
  constructor(varyOn: readonly string[] = [], constant: Readonly<Record<string, string>> = {}) {
    this.#constant = constant;
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
    if (body !== 'null' && matchesWeakly(request.headers.get('if-none-match'), etag))
      return new Response(null, { status: 304, headers: this.#headersOf(answer, tookMs) });
    if (!answer.source.hit || tookMs > 0) return this.#response(answer, tookMs);
    const last = this.#lastHit(etag);
    if (last === undefined || !tellTheSame(last.facts, answer)) {
      this.#keep(etag, { facts: factsOf(answer), headers: undefined });
      return this.#response(answer, tookMs);
    }
    last.headers ??= new Headers(this.#headersOfBody(answer, tookMs));
    return new Response(body, { headers: last.headers });
  }

  #response(answer: CachedAnswer, tookMs: number): Response {
    return new Response(answer.entry.body, { headers: this.#headersOfBody(answer, tookMs) });
  }

  #headersOfBody(answer: CachedAnswer, tookMs: number): Record<string, string> {
    return { 'content-type': 'application/json', ...this.#headersOf(answer, tookMs) };
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
      ...this.#constant,
    };
    if (tookMs > 0) headers['server-timing'] = `total;dur=${tookMs}`;
    if (answer.token !== undefined) headers['millrace-token'] = answer.token;
    return headers;
  }

  #lastHit(etag: string): LastHit | undefined {
    const young = this.#young.get(etag);
    if (young !== undefined) return young;
    const old = this.#old.get(etag);
    if (old !== undefined) this.#keep(etag, old);
    return old;
  }

  #keep(etag: string, hit: LastHit): void {
    if (this.#young.size >= GENERATION_MAX && !this.#young.has(etag)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(etag, hit);
  }
}

function factsOf({ source, unverified, ageS, ttlS, maxAgeS, token }: CachedAnswer): Facts {
  return { source, unverified, ageS, ttlS, maxAgeS, token };
}

/** Whether two hits of one entity tag have the same headers. */
function tellTheSame(a: Facts, b: CachedAnswer): boolean {
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

/** Whether `If-None-Match` names a tag: weak comparison (RFC 9110 §13.1.2). */
export function matchesWeakly(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  return ifNoneMatch.split(',').some((candidate) => {
    const tag = candidate.trim();
    return tag === '*' || tag.replace(/^W\//, '') === etag;
  });
}

/** Whether `If-Match` names a tag: strong comparison (RFC 9110 §13.1.1). */
export function matchesStrongly(ifMatch: string, etag: string): boolean {
  return ifMatch.split(',').some((candidate) => ['*', etag].includes(candidate.trim()));
}

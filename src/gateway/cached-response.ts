import type { CachedAnswer } from '../cache/cached-answer.ts';
import { parseToken } from '../cache/clock/clock.ts';
import type { Consistency } from '../cache/read-through.ts';
import { CONSISTENCY_LEVELS } from '../define/cache-policy.ts';
import { Failure } from '../platform/failure.ts';
import { idOfRequest } from './context.ts';
import { problemResponse } from './problem.ts';

/** The consistency of a request without the two headers. */
const AS_THE_POLICY_SAYS: Consistency = { level: undefined, atLeast: undefined };

/** What every cached answer varies on. */
const VARY = 'Millrace-Consistency, Millrace-Token';

/** The consistency that a request asks for in its headers. */
export function consistencyOf(headers: Headers): Consistency {
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

/** The facts that the headers of an answer show beside its entity tag. */
type Facts = Pick<CachedAnswer, 'source' | 'unverified' | 'ageS' | 'ttlS' | 'maxAgeS' | 'token'>;

/** The last hit of an entity tag. */
interface LastHit {
  facts: Facts;
  /** The headers that show them, from the second hit on: many answers are read only once while this is kept. */
  headers: Headers | undefined;
}

/**
 * The most hits of one of the two generations that each route keeps: with headers of about 2 KB each, 4 MB in all.
 * An answer that is read less than once a second profits little, and at 10,000 reads a second by Zipf's law about 1,000
 * answers are read that often.
 */
const GENERATION_MAX = 1_024;

/**
 * Makes the responses of one cached route. It keeps the headers of busy answers, and changes in them only what differs
 * from the last hit: copying them from another `Headers` costs the runtime a third of what an object's properties cost,
 * and less than copying them from another response.
 */
export class CachedResponses {
  readonly #constant: Readonly<Record<string, string>>;
  /** Hits since the last generation began, and those of the generation before: what is in neither was not read lately. */
  #young = new Map<string, LastHit>();
  #old = new Map<string, LastHit>();

  /**
   * @param varyOn the request headers on which its answers depend, in addition to those of every cached route.
   * @param constant further headers of every answer.
   */
  constructor(varyOn: readonly string[] = [], constant: Readonly<Record<string, string>> = {}) {
    this.#constant = {
      vary: [VARY, ...varyOn].join(', '),
      'x-content-type-options': 'nosniff',
      ...constant,
    };
  }

  /**
   * The response to a cached answer, with headers that show how fresh it is. Each header costs a warm hit time, so empty
   * ones are omitted: an answer that took no time has no `Server-Timing`, and a hit in memory has no `X-Request-Id`
   * (docs/decisions/0014-the-id-of-a-warm-hit.md).
   *
   * @param tookMs how long the answer took, in milliseconds: the worker's clock stands still between I/O.
   */
  of(answer: CachedAnswer, request: Headers, tookMs: number): Response {
    const { body, etag } = answer.entry;
    if (body !== 'null' && matchesWeakly(request.get('if-none-match'), etag))
      return new Response(null, { status: 304, headers: this.#headersOf(answer, request, tookMs) });
    const headers =
      isInMemory(answer) && tookMs === 0
        ? this.#headersOfHit(answer, request)
        : this.#headersOfBody(answer, request, tookMs);
    return new Response(body, { headers });
  }

  #headersOfHit(answer: CachedAnswer, request: Headers): HeadersInit {
    const { etag } = answer.entry;
    const last = this.#lastHit(etag);
    if (last === undefined) {
      this.#keep(etag, { facts: factsOf(answer), headers: undefined });
      return this.#headersOfBody(answer, request, 0);
    }
    if (last.headers === undefined) last.headers = new Headers(this.#headersOfBody(answer, request, 0));
    else if (showTheSame(last.facts, answer)) return last.headers;
    else update(last.headers, last.facts, answer);
    last.facts = factsOf(answer);
    return last.headers;
  }

  #headersOfBody(answer: CachedAnswer, request: Headers, tookMs: number): Record<string, string> {
    return { 'content-type': 'application/json', ...this.#headersOf(answer, request, tookMs) };
  }

  #headersOf(answer: CachedAnswer, request: Headers, tookMs: number): Record<string, string> {
    const headers: Record<string, string> = {
      etag: answer.entry.etag,
      age: String(answer.ageS),
      'cache-status': cacheStatus(answer),
      'cache-control': cacheControl(answer),
      ...this.#constant,
    };
    if (!isInMemory(answer)) headers['x-request-id'] = idOfRequest(request);
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
function showTheSame(a: Facts, b: Facts): boolean {
  return (
    a.ageS === b.ageS &&
    a.ttlS === b.ttlS &&
    a.maxAgeS === b.maxAgeS &&
    a.token === b.token &&
    a.unverified === b.unverified &&
    isSameHit(a.source, b.source)
  );
}

/** Changes the headers of one hit of an entity tag into those of another. */
function update(headers: Headers, from: Facts, to: Facts): void {
  if (from.ageS !== to.ageS) headers.set('age', String(to.ageS));
  if (from.maxAgeS !== to.maxAgeS) headers.set('cache-control', cacheControl(to));
  if (from.ttlS !== to.ttlS || from.unverified !== to.unverified || !isSameHit(from.source, to.source))
    headers.set('cache-status', cacheStatus(to));
  if (from.token === to.token) return;
  if (to.token === undefined) headers.delete('millrace-token');
  else headers.set('millrace-token', to.token);
}

function isInMemory({ source }: Facts): boolean {
  return source.hit && source.tier === 'memory';
}

function isSameHit(a: CachedAnswer['source'], b: CachedAnswer['source']): boolean {
  return a.hit && b.hit && a.tier === b.tier && a.stale === b.stale;
}

/** Caches that Millrace cannot invalidate may keep the answer for the rest of its bound, and must revalidate it then. */
function cacheControl({ maxAgeS }: Facts): string {
  return `private, max-age=${maxAgeS}, must-revalidate`;
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
function cacheStatus({ source, ttlS, unverified }: Facts): string {
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

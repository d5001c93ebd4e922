import { sha256Hex } from '../../platform/digest.ts';
import { COLO_TTL_S_MIN } from '../../platform/limits.ts';
import { logSeldom } from '../../platform/logger.ts';
import { callPeer } from '../../platform/peer.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';
import { Entry } from '../entry.ts';
import type { Tier } from './tier.ts';

/** The part of the Cache API that this tier uses; `caches.default` implements it. */
export interface ColoCache {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
}

/** No host can have this name (RFC 6761 §6.4), so these URLs collide with no other. */
export const COLO_ORIGIN = 'https://cache.millrace.invalid';

/**
 * The origin of a deployment's entries. All deployments of a zone share its cache. The clock refuses entries of another
 * one, but an `eventual` reader, or one whose origin is away, would get them as stale answers.
 */
export function coloOrigin(deployment: string): string {
  return COLO_ORIGIN.replace('//', `//${deployment}.`);
}

/** Whether the platform's cache keeps nothing for a worker on this host. */
export function keepsNothingOn(hostname: string): boolean {
  return hostname.endsWith('.workers.dev');
}

/** How long a read waits for the cache, which is in the same data centre, in milliseconds. */
const READ_MS = 200;
/** Nothing waits for a write, in milliseconds. */
const WRITE_MS = 10_000;

/** The largest entry that is stored, in characters. Parsing a larger one takes longer than a read of the origin. */
const ENTRY_CHARACTERS_MAX = 2_000_000;

/**
 * The data centre's cache, shared by its isolates through the Cache API.
 *
 * - It covers one data centre. Each data centre fills its own cache; nothing is replicated.
 * - It works on custom domains only. Elsewhere (`*.workers.dev`, behind Access) it stores nothing and reports no error.
 * - Each call counts as a subrequest of the request (`SUBREQUESTS_FREE_MAX` on the free plan), and each call in flight
 *   as one of its open connections (`OPEN_CONNECTIONS_MAX`).
 * - It may evict at any time. Other workers of the zone can write to `caches.default`, so entries are validated.
 */
export class ColoTier implements Tier {
  readonly name = 'colo';
  readonly #cache: ColoCache;
  readonly #ttlS: number;
  readonly #origin: string;

  /**
   * @param ttlS how long entries are kept at most, in seconds: `keepForS` of the longest-lived policy.
   * @param origin scheme and host of the URLs that stand for keys, without a trailing slash. Cloudflare recommends the
   *   worker's own host, because another host may cost a DNS look-up. On the own host, the path keeps entries apart
   *   from real responses.
   */
  constructor(cache: ColoCache, ttlS: number, origin: string = COLO_ORIGIN) {
    this.#cache = cache;
    this.#ttlS = Math.max(COLO_TTL_S_MIN, Math.ceil(ttlS));
    this.#origin = origin;
  }

  async get(key: string): Promise<Entry | undefined> {
    try {
      const url = await this.#urlOf(key);
      const found = await callPeer('colo-cache', READ_MS, async () => {
        const response = await this.#cache.match(url);
        return response === undefined ? undefined : JSON.parse(decodeUtf8(await response.arrayBuffer()));
      });
      const parsed = Entry.safeParse(found);
      return parsed.success ? parsed.data : undefined;
    } catch (error) {
      logSeldom(
        'warn',
        "The data centre's cache could not be read; this counts as a miss.",
        { 'event.action': 'cache-get' },
        error,
      );
      return undefined;
    }
  }

  async put(key: string, entry: Entry): Promise<void> {
    if (entry.body.length > ENTRY_CHARACTERS_MAX) return;
    try {
      const response = new Response(JSON.stringify(entry), {
        headers: { 'content-type': 'application/json', 'cache-control': `max-age=${this.#ttlS}` },
      });
      const url = await this.#urlOf(key);
      await callPeer('colo-cache', WRITE_MS, () => this.#cache.put(url, response));
    } catch (error) {
      logSeldom(
        'info',
        "The data centre's cache did not store an entry.",
        { 'event.action': 'cache-put' },
        error,
      );
    }
  }

  /** A key may be longer than a URL and contain any character, so the URL contains its digest. */
  async #urlOf(key: string): Promise<string> {
    return `${this.#origin}/.millrace/entries/${await sha256Hex(key)}`;
  }
}

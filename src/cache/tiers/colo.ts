import { sha256Hex } from '../../platform/digest.ts';
import { COLO_TTL_S_MIN } from '../../platform/limits.ts';
import { log } from '../../platform/logger.ts';
import { Entry } from '../entry.ts';
import type { Tier } from './tier.ts';

/** What this tier needs of the Cache API; `caches.default` has it. */
export interface ColoCache {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
}

/** No host of this name can exist (RFC 6761 §6.4), so these URLs are nobody else's. */
export const COLO_ORIGIN = 'https://cache.millrace.invalid';

/** An isolate parses a larger entry more slowly than it reads the origin. */
const ENTRY_CHARACTERS_MAX = 2_000_000;

/**
 * The data centre's cache, shared by its isolates through the Cache API.
 *
 * - It reaches one data centre: another one fills its own, and nothing is replicated.
 * - It works on custom domains only. Elsewhere (`*.workers.dev`, behind Access) it keeps nothing and says nothing.
 * - Each call counts towards the subrequests of a request (`SUBREQUESTS_FREE_MAX` on the free plan), and each one under way towards
 *   its open connections (`OPEN_CONNECTIONS_MAX`).
 * - It may evict at any time. Other workers of the zone can reach `caches.default`, so what comes back is checked.
 */
export class ColoTier implements Tier {
  readonly name = 'colo';
  readonly #cache: ColoCache;
  readonly #ttlS: number;
  readonly #origin: string;

  /**
   * @param ttlS how long entries are kept at most, in seconds: `keepForS` of the longest-lived policy.
   * @param origin scheme and host of the URLs that stand for keys, without a trailing slash. Cloudflare advises
   *   the worker's own host, because others may cost a look-up of the name; there the path keeps them apart from
   *   what is really served.
   */
  constructor(cache: ColoCache, ttlS: number, origin: string = COLO_ORIGIN) {
    this.#cache = cache;
    this.#ttlS = Math.max(COLO_TTL_S_MIN, Math.ceil(ttlS));
    this.#origin = origin;
  }

  async get(key: string): Promise<Entry | undefined> {
    try {
      const response = await this.#cache.match(await this.#urlOf(key));
      if (response === undefined) return undefined;
      const parsed = Entry.safeParse(await response.json());
      return parsed.success ? parsed.data : undefined;
    } catch (error) {
      log('warn', "The data centre's cache could not be read.", { 'event.action': 'cache-get' }, error);
      return undefined;
    }
  }

  async put(key: string, entry: Entry): Promise<void> {
    if (entry.body.length > ENTRY_CHARACTERS_MAX) return;
    try {
      const response = new Response(JSON.stringify(entry), {
        headers: { 'content-type': 'application/json', 'cache-control': `max-age=${this.#ttlS}` },
      });
      await this.#cache.put(await this.#urlOf(key), response);
    } catch (error) {
      log('info', "The data centre's cache did not take an entry.", { 'event.action': 'cache-put' }, error);
    }
  }

  /** Keys may be longer than a URL and hold any character: their digest stands for them. */
  async #urlOf(key: string): Promise<string> {
    return `${this.#origin}/.millrace/entries/${await sha256Hex(key)}`;
  }
}

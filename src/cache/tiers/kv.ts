import { KV_KEY_BYTES_MAX, KV_TTL_S_MIN } from '../../platform/limits.ts';
import { logSeldom } from '../../platform/logger.ts';
import { callPeer } from '../../platform/peer.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';
import { Entry, isNegative } from '../entry.ts';
import type { Tier } from './tier.ts';

/** How long a read waits for KV, in milliseconds. A cold key takes some hundreds; the origin is as near by then. */
const READ_MS = 500;
/** Nothing waits for a write, in milliseconds. */
const WRITE_MS = 10_000;

/** The part of a KV namespace that this tier uses. */
export interface KvStore {
  get(key: string, type: 'arrayBuffer'): Promise<ArrayBuffer | null>;
  put(key: string, value: string, options: { readonly expirationTtl: number }): Promise<void>;
}

/**
 * Workers KV, shared by all isolates, for the policies that name it. Writes take up to a minute to show elsewhere, and
 * each key takes one a second: both cost hits. "Not found" is not stored: a client without a key could otherwise cause
 * a write, which is charged for, with each path that it invents.
 */
export class KvTier implements Tier {
  readonly name = 'kv';
  readonly #kv: KvStore;
  readonly #ttlS: number;
  readonly #deployment: string;

  /** @param deployment the begin of all keys, so that deployments that share a namespace share no entry. */
  constructor(kv: KvStore, ttlS: number, deployment: string) {
    this.#kv = kv;
    this.#ttlS = Math.max(KV_TTL_S_MIN, ttlS);
    this.#deployment = deployment;
  }

  async get(cacheKey: string): Promise<Entry | undefined> {
    const key = this.#nameOf(cacheKey);
    if (bytesOf(key) > KV_KEY_BYTES_MAX) return undefined;
    try {
      const parsed = Entry.safeParse(
        await callPeer('kv', READ_MS, async () => {
          const bytes = await this.#kv.get(key, 'arrayBuffer');
          return bytes === null ? undefined : JSON.parse(decodeUtf8(bytes));
        }),
      );
      return parsed.success ? parsed.data : undefined;
    } catch (error) {
      logSeldom(
        'warn',
        'KV could not be read; this counts as a miss.',
        { 'event.action': 'cache-get' },
        error,
      );
      return undefined;
    }
  }

  async put(cacheKey: string, entry: Entry): Promise<void> {
    const key = this.#nameOf(cacheKey);
    if (isNegative(entry) || bytesOf(key) > KV_KEY_BYTES_MAX) return;
    try {
      const options = { expirationTtl: this.#ttlS };
      await callPeer('kv', WRITE_MS, () => this.#kv.put(key, JSON.stringify(entry), options));
    } catch (error) {
      logSeldom('info', 'KV did not store an entry.', { 'event.action': 'cache-put' }, error);
    }
  }

  #nameOf(cacheKey: string): string {
    return `${this.#deployment}/${cacheKey}`;
  }
}

const encoder = new TextEncoder();

function bytesOf(text: string): number {
  return encoder.encode(text).byteLength;
}

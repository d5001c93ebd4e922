import { createLocalJWKSet, errors, jwtVerify } from 'jose';
import type { TokenHolder } from '../../define/principal.ts';
import type { Time } from '../../platform/clock.ts';
import { type FetchedKeys, KEY_SET_TTL_MS, KeySet, type KeySetPorts } from './key-set.ts';
import { holderOfToken, type TokenRules } from './token-rules.ts';

/** The most verified tokens that an isolate remembers; each takes less than 1 KB. */
export const TOKENS_MAX = 4_096;

export type TokenVerdict =
  | { readonly verdict: 'valid'; readonly holder: TokenHolder }
  | { readonly verdict: 'expired' | 'invalid' };

interface Verified {
  readonly holder: TokenHolder;
  readonly expiresAtMs: number;
  readonly verifiedAtMs: number;
}

/**
 * The tokens that an isolate has verified, by their SHA-256. A token is verified again after `KEY_SET_TTL_MS`, so that a
 * key that the issuer has removed ends the tokens that it signed.
 */
export class TokenTable {
  readonly #rules: TokenRules;
  readonly #time: Time;
  readonly #keys: KeySet;
  readonly #verified = new Map<string, Verified>();

  constructor(rules: TokenRules, time: Time) {
    this.#rules = rules;
    this.#time = time;
    this.#keys = new KeySet(time);
  }

  /** The holder of a verified token, without waiting. */
  peek(hash: string): TokenHolder | undefined {
    const known = this.#verified.get(hash);
    if (known === undefined) return undefined;
    const nowMs = this.#time.now();
    if (nowMs < known.expiresAtMs && nowMs - known.verifiedAtMs <= KEY_SET_TTL_MS) return known.holder;
    this.#verified.delete(hash);
    return undefined;
  }

  /** @throws Failure `issuer_unavailable` */
  async verify(text: string, hash: string, ports: KeySetPorts): Promise<TokenVerdict> {
    const keys = await this.#keys.current(ports);
    const verdict = await this.#judge(text, hash, keys);
    if (verdict !== 'unknown key') return verdict;
    const newer = await this.#keys.newerThan(keys, ports);
    const again = newer === undefined ? verdict : await this.#judge(text, hash, newer);
    return again === 'unknown key' ? { verdict: 'invalid' } : again;
  }

  async #judge(text: string, hash: string, { keys }: FetchedKeys): Promise<TokenVerdict | 'unknown key'> {
    const { issuer, audiences, algorithms, clockSkewS } = this.#rules;
    const nowMs = this.#time.now();
    try {
      const { payload } = await jwtVerify(text, createLocalJWKSet({ keys: [...keys] }), {
        issuer,
        audience: [...audiences],
        algorithms: [...algorithms],
        clockTolerance: clockSkewS,
        requiredClaims: ['exp', 'sub'],
        currentDate: new Date(nowMs),
      });
      const holder = holderOfToken(payload, this.#rules);
      if (holder === undefined || payload.exp === undefined) return { verdict: 'invalid' };
      const expiresAtMs = (payload.exp + clockSkewS) * 1_000;
      this.#remember(hash, { holder, expiresAtMs, verifiedAtMs: nowMs });
      return { verdict: 'valid', holder };
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return 'unknown key';
      if (error instanceof errors.JWTExpired) return { verdict: 'expired' };
      if (error instanceof errors.JOSEError || error instanceof TypeError || isKeyError(error))
        return { verdict: 'invalid' };
      throw error;
    }
  }

  #remember(hash: string, verified: Verified): void {
    for (const oldest of this.#verified.keys()) {
      if (this.#verified.size < TOKENS_MAX) break;
      this.#verified.delete(oldest);
    }
    this.#verified.set(hash, verified);
  }
}

/** Web Crypto refuses a key of the issuer that is malformed, or that does not fit the algorithm. */
function isKeyError(error: unknown): boolean {
  return error instanceof DOMException;
}

import * as z from 'zod';
import type { Time } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';

/** How long the issuer's keys are used without a look at their address, in milliseconds. */
export const KEY_SET_TTL_MS = 600_000;
/** How long they stand in while the issuer does not answer, in milliseconds, counted from when they were fetched. */
export const KEY_SET_STAND_IN_MS = 3_600_000;
/**
 * The shortest time between the starts of two fetches of an isolate, in milliseconds. Tokens with unknown keys, which
 * anybody can make, cause no more than this.
 */
export const FETCH_PAUSE_MS = 30_000;
/** How long a fetch may take, in milliseconds. */
export const FETCH_TIMEOUT_MS = 3_000;
/** The most keys of a set. Issuers have one to five. */
const KEYS_MAX = 64;

/** Symmetric keys are left out: whoever knows one can make tokens. */
const Text = z.string().max(4_096).exactOptional();
const PublicKey = z.object({
  kty: z.enum(['RSA', 'EC', 'OKP']),
  ...{ kid: Text, alg: Text, use: Text, crv: Text, n: Text, e: Text, x: Text, y: Text },
});
export type PublicKey = z.output<typeof PublicKey>;
const Fetched = z.object({ keys: z.array(z.unknown()).max(KEYS_MAX) });

export interface FetchedKeys {
  readonly keys: readonly PublicKey[];
  readonly fetchedAtMs: number;
}

export interface KeySetPorts {
  /** Fetches the JSON at the issuer's address. It rejects within `FETCH_TIMEOUT_MS`. */
  readonly fetchKeys: () => Promise<unknown>;
  /** Keeps a fetch alive if the request that started it ends. */
  readonly keepAlive: (work: Promise<unknown>) => void;
}

/** The public keys of an issuer, as an isolate knows them. */
export class KeySet {
  readonly #time: Time;
  #known: FetchedKeys | undefined;
  #fetching: Promise<FetchedKeys> | undefined;
  #fetchedLastMs = Number.NEGATIVE_INFINITY;

  constructor(time: Time) {
    this.#time = time;
  }

  /** @throws Failure `issuer_unavailable` if no keys are known that may still be used. */
  async current(ports: KeySetPorts): Promise<FetchedKeys> {
    const known = this.#known;
    if (known !== undefined && this.#ageMs(known) <= KEY_SET_TTL_MS) return known;
    const fetched = await this.#refresh(ports);
    if (fetched !== undefined) return fetched;
    if (known !== undefined && this.#ageMs(known) <= KEY_SET_STAND_IN_MS) return known;
    throw new Failure(
      'issuer_unavailable',
      'The keys of the token issuer cannot be fetched. Try again shortly.',
      {
        retryAfterS: FETCH_PAUSE_MS / 1_000,
      },
    );
  }

  /** Newer keys than `known`, which do not have the key of a token; undefined if there are none yet. */
  async newerThan(known: FetchedKeys, ports: KeySetPorts): Promise<FetchedKeys | undefined> {
    if (this.#known !== undefined && this.#known.fetchedAtMs > known.fetchedAtMs) return this.#known;
    return await this.#refresh(ports);
  }

  #ageMs({ fetchedAtMs }: FetchedKeys): number {
    return this.#time.now() - fetchedAtMs;
  }

  /** One fetch at a time, and at most one in `FETCH_PAUSE_MS`. Undefined if it may not start, or fails. */
  async #refresh(ports: KeySetPorts): Promise<FetchedKeys | undefined> {
    if (this.#fetching === undefined) {
      if (this.#time.now() - this.#fetchedLastMs < FETCH_PAUSE_MS) return undefined;
      this.#fetchedLastMs = this.#time.now();
      const fetching = this.#fetch(ports).finally(() => {
        if (this.#fetching === fetching) this.#fetching = undefined;
      });
      this.#fetching = fetching;
      ports.keepAlive(fetching.catch(() => undefined));
    }
    // The request that started the fetch may have been cancelled, so the wait has a deadline of its own.
    const late = () => new Error('The issuer does not answer.');
    return await this.#time.withTimeout(this.#fetching, FETCH_TIMEOUT_MS, late).catch(() => undefined);
  }

  async #fetch({ fetchKeys }: KeySetPorts): Promise<FetchedKeys> {
    const late = () => new Error('The issuer does not answer.');
    const json = await this.#time.withTimeout(fetchKeys(), FETCH_TIMEOUT_MS, late);
    const keys = Fetched.parse(json).keys.flatMap((key) => PublicKey.safeParse(key).data ?? []);
    this.#known = { keys, fetchedAtMs: this.#time.now() };
    return this.#known;
  }
}

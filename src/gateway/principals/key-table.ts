import { isValid } from '../../cache/clock/clock.ts';
import type { ClockFollower, FollowerContext } from '../../cache/clock/follower.ts';
import { ageMs } from '../../cache/clock/mirror.ts';
import { tagHashes } from '../../cache/clock/tag-hash.ts';
import type { Time } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { type ApiKey, keyTag } from './api-key.ts';

/** The bound of a revocation, in milliseconds: as that of a bounded read. */
export const KEY_BOUND_MS = 2_000;
/**
 * How long a record is used without a look-up, in milliseconds. An invalidation ends it sooner. It limits the harm of a
 * change that another writer made in the table, which invalidates nothing.
 */
export const KEY_TTL_MS = 60_000;
/** How long a record that no invalidation has ended stands in while the database is away, in milliseconds. */
export const KEY_STAND_IN_MS = 3_600_000;
/** The most keys that an isolate remembers, and the most ids without a key; each takes less than 1 KB. */
export const KEYS_MAX = 4_096;
export const ABSENT_MAX = 1_024;
/**
 * The most look-ups of an isolate at a time. Well-formed keys that do not exist cost the database one query each, and
 * this bounds how many it works on.
 */
export const LOOKUPS_MAX = 16;
/** A statement's own deadline is 10 s; a look-up of a request that was cancelled never settles. */
const LOOKUP_TIMEOUT_MS = 11_000;

/** A record as of a moment of the clock; null if no key has the id. */
interface Known {
  readonly key: ApiKey | null;
  readonly epoch: string;
  readonly stamp: number;
  readonly tagHashes: readonly number[];
  readonly readAtMs: number;
}

export interface LookupPorts {
  readonly context: FollowerContext;
  /** Reads the record from the database; null if there is none. @throws Failure `database_unavailable` */
  readonly read: (id: string) => Promise<ApiKey | null>;
}

/**
 * The keys that an isolate has looked up. The clock's mirror validates a record, as it validates an entry of the cache,
 * so a revocation takes effect within the bound. While the clock does not answer, a record is valid for the bound after
 * it was read.
 */
export class KeyTable {
  readonly #follower: ClockFollower;
  readonly #time: Time;
  readonly #present = new Map<string, Known>();
  /** A map of its own, so that ids without a key do not evict keys. */
  readonly #absent = new Map<string, Known>();
  readonly #inFlight = new Map<string, Promise<Known>>();
  #lookups = 0;

  constructor(follower: ClockFollower, time: Time) {
    this.#follower = follower;
    this.#time = time;
  }

  /** The record, without waiting; null if no key has the id, undefined if the table cannot tell. */
  peek(id: string): ApiKey | null | undefined {
    const known = this.#knownAs(id);
    if (known === undefined || !this.#isValid(known)) return undefined;
    const nowMs = this.#time.now();
    const readMs = nowMs - known.readAtMs;
    if (readMs > KEY_TTL_MS) return undefined;
    const isInBound = readMs <= KEY_BOUND_MS || ageMs(this.#follower.mirror, nowMs) <= KEY_BOUND_MS;
    return isInBound ? known.key : undefined;
  }

  /**
   * The record within the bound, or as of the call if `isStrong`; null if no key has the id.
   *
   * @throws Failure `database_unavailable` if neither the table nor the database can tell, or if the database took longer
   *   than the bound and the key has changed since.
   */
  async find(id: string, isStrong: boolean, ports: LookupPorts): Promise<ApiKey | null> {
    const need = { maxAgeMs: isStrong ? 0 : KEY_BOUND_MS, atLeast: undefined };
    const isVerified = await this.#follower.ensure(need, this.#follower.begin(), ports.context).then(
      () => true,
      () => false,
    );
    const known = this.#knownAs(id);
    const isUsable = isVerified && known !== undefined && this.#isValid(known);
    const readMs = this.#time.now() - (known?.readAtMs ?? 0);
    if (isUsable && readMs <= KEY_TTL_MS) return known.key;
    try {
      // A look-up that began before a strong request may miss a revocation that the request has to see.
      const inFlight = isStrong ? undefined : this.#inFlight.get(id);
      const read = await (inFlight === undefined ? this.#lookUp(id, ports) : this.#joined(inFlight));
      if (!isStrong) await this.#assertInBound(read, ports);
      return read.key;
    } catch (error) {
      if (isUsable && readMs <= KEY_STAND_IN_MS && this.#isValid(known)) return known.key;
      throw error;
    }
  }

  /** A look-up that takes longer than the bound may miss a revocation that was acknowledged in the meantime. */
  async #assertInBound(known: Known, { context }: LookupPorts): Promise<void> {
    if (this.#time.now() - known.readAtMs <= KEY_BOUND_MS) return;
    await this.#follower.ensure(
      { maxAgeMs: KEY_BOUND_MS, atLeast: undefined },
      this.#follower.begin(),
      context,
    );
    if (!this.#isValid(known)) throw noAnswer();
  }

  #knownAs(id: string): Known | undefined {
    return this.#present.get(id) ?? this.#absent.get(id);
  }

  /** Whether the mirror knows of no invalidation of the key since the record was read. */
  #isValid(known: Known): boolean {
    return isValid(this.#follower.mirror.clock, known, known.tagHashes);
  }

  /** The request of another look-up may have been cancelled, so the wait for it has a deadline. */
  async #joined(looking: Promise<Known>): Promise<Known> {
    return await this.#time.withTimeout(looking, LOOKUP_TIMEOUT_MS, noAnswer);
  }

  async #lookUp(id: string, ports: LookupPorts): Promise<Known> {
    if (this.#lookups >= LOOKUPS_MAX)
      throw new Failure('database_unavailable', 'Too many keys are being looked up. Try again shortly.', {
        retryAfterS: 1,
      });
    this.#lookups += 1;
    const looking = this.#read(id, ports).finally(() => {
      this.#lookups -= 1;
      if (this.#inFlight.get(id) === looking) this.#inFlight.delete(id);
    });
    this.#inFlight.set(id, looking);
    ports.context.keepAlive(looking.catch(() => undefined));
    return await looking;
  }

  /** The stamp is taken before the read, so a change that races with the read leaves a record that is stale. */
  async #read(id: string, ports: LookupPorts): Promise<Known> {
    const { epoch, seq: stamp } = this.#follower.mirror.clock;
    const readAtMs = this.#time.now();
    const key = await this.#time.withTimeout(ports.read(id), LOOKUP_TIMEOUT_MS, noAnswer);
    const known = { key, epoch, stamp, tagHashes: tagHashes([keyTag(id)]), readAtMs };
    const [kept, other] = key === null ? [this.#absent, this.#present] : [this.#present, this.#absent];
    other.delete(id);
    kept.delete(id);
    for (const oldest of kept.keys()) {
      if (kept.size < (key === null ? ABSENT_MAX : KEYS_MAX)) break;
      kept.delete(oldest);
    }
    kept.set(id, known);
    return known;
  }
}

function noAnswer(): Failure {
  return new Failure('database_unavailable', 'The database does not answer. Try again shortly.', {
    retryAfterS: 5,
  });
}

import type { FreshnessPolicy } from '../define/cache-policy.ts';
import { hashText, seededRandom } from '../platform/random.ts';
import { type Entry, isNegative } from './entry.ts';

/**
 * Upper limit of the mean lead of an early refresh, as a share of the time to live. Without it, an answer whose fill
 * takes about as long as it lives would be refreshed by every read.
 */
const EARLY_SHARE_MAX = 0.1;

/** The part of `refreshAhead` in which no refresh is due, so that the ones that are late end before the expiry. */
const AHEAD_REST = 0.1;

/** An arbitrary number that separates these draws from other uses of the same hash. */
const JITTER_BASIS = 0x7e57_11fe;

/** A reader's level. A bounded or eventual reader with a token counts as `session`. */
export type ReadLevel = 'strong' | 'session' | 'bounded' | 'eventual';

/**
 * The clock's verdict on an entry's tags. `unverified`: the clock cannot be reached, and the policy allows entries
 * without it. Where the policy does not allow that, the verdict is `invalidated`.
 */
export type TagVerdict = 'valid' | 'invalidated' | 'unverified';

/** The parts of an `Entry` that depend on time. */
export interface Filled extends Pick<Entry, 'body' | 'filledAt'> {
  /** Duration of the fill, in milliseconds. The slower the fill, the earlier the entry is refreshed. */
  readonly fillMs?: number | undefined;
}

export interface Question {
  readonly policy: FreshnessPolicy;
  readonly level: ReadLevel;
  readonly key: string;
  readonly entry: Filled;
  readonly tags: TagVerdict;
}

export interface Decision {
  /** A `stale` answer must be marked as stale. */
  readonly serve: 'fresh' | 'stale' | 'no';
  /** `now`: the reader waits for the origin. `background`: the reader does not wait; one refresh is enough. */
  readonly refresh: 'none' | 'background' | 'now';
  readonly reason: 'fresh' | 'early' | 'expired' | 'invalidated' | 'unverified';
  /** For `Age`, in whole seconds. */
  readonly ageS: number;
  /** For `ttl` of RFC 9211 §2.4, in whole seconds; negative once the entry has expired. */
  readonly ttlLeftS: number;
}

/**
 * How long this entry is fresh, in milliseconds. The jitter follows from the key and the time of the fill. So every
 * isolate computes the same expiry for an entry, and entries that were filled together do not expire together.
 */
export function timeToLiveMs(policy: FreshnessPolicy, key: string, entry: Filled): number {
  const ttlS = isNegative(entry) ? Math.min(policy.negativeTtlS, policy.ttlS) : policy.ttlS;
  return ttlS * 1_000 * (1 - policy.jitter * drawsOf(key, entry).jitter);
}

/** Two numbers in [0, 1) that every isolate draws equally for an entry. */
interface Draws {
  readonly key: string;
  readonly jitter: number;
  readonly ahead: number;
}

/** Draws of entries in memory, cached because every hit needs them and hashing a key takes half a microsecond. */
const draws = new WeakMap<Filled, Draws>();

function drawsOf(key: string, entry: Filled): Draws {
  const known = draws.get(entry);
  if (known?.key === key) return known;
  const random = seededRandom(hashText(`${entry.filledAt}/${key}`, JITTER_BASIS));
  const drawn = { key, jitter: random(), ahead: random() };
  draws.set(entry, drawn);
  return drawn;
}

/**
 * Decides whether to serve one entry, and whether to refresh it. Strong, session and bounded readers never get an
 * entry with an invalidated tag; `eventual` readers may get it within `staleWhileRevalidateS`.
 *
 * @param nowMs milliseconds since the Unix epoch. If the filler's clock is ahead, the age counts as 0, so the rest of
 *   the entry's life is never more than a whole time to live.
 * @param random uniform in [0, 1), drawn for each read.
 */
export function decide(question: Question, nowMs: number, random: number): Decision {
  const times = timesOf(question, nowMs);
  const { serve, refresh, reason } = verdict(question, times, random);
  return {
    serve,
    refresh,
    reason,
    ageS: Math.floor(times.elapsedMs / 1_000),
    ttlLeftS: Math.floor(times.leftMs / 1_000),
  };
}

/**
 * Whether the entry may replace an answer while the origin is down. The answer must be marked. Strong and session
 * readers are promised more than a mark can excuse: unless the policy declares otherwise, they get the origin's error.
 */
export function mayStandIn(question: Question, nowMs: number): boolean {
  const { policy, level } = question;
  if (policy.staleIfErrorFor === 'bounded' && isPromisedTheClock(level)) return false;
  return timesOf(question, nowMs).staleForMs < policy.staleIfErrorS * 1_000;
}

/** Strong and session readers are promised invalidations that the clock has acknowledged, however recent. */
function isPromisedTheClock(level: ReadLevel): boolean {
  return level === 'strong' || level === 'session';
}

/** The beginning of the grain of time that holds `nowMs`; `nowMs` itself where there are no grains. */
export function grainAt(grainMs: number | undefined, nowMs: number): number {
  return grainMs === undefined ? nowMs : Math.floor(nowMs / grainMs) * grainMs;
}

/**
 * When the grain that an entry was loaded in ends, in milliseconds since the Unix epoch. The end of a grain is an
 * invalidation by the clock on the wall: strong, session and bounded readers get no entry of an earlier grain.
 */
export function grainEndMs(grainMs: number | undefined, { now }: Pick<Entry, 'now'>): number {
  if (grainMs === undefined) return Number.POSITIVE_INFINITY;
  // An entry without a grain was loaded by a version of the view that did not declare it.
  return now === undefined ? Number.NEGATIVE_INFINITY : now + grainMs;
}

/** Nothing is fresh for longer than its grain, also in caches that we do not own. */
export function withinGrain<Decided extends Pick<Decision, 'ttlLeftS'>>(
  decided: Decided,
  grainMs: number,
  entry: Pick<Entry, 'now'>,
  nowMs: number,
): Decided {
  const grainLeftS = Math.floor((grainEndMs(grainMs, entry) - nowMs) / 1_000);
  return { ...decided, ttlLeftS: Math.min(decided.ttlLeftS, grainLeftS) };
}

/** How long a tier has to keep an entry so that neither stale window is cut short, in seconds. */
export function keepForS(policy: FreshnessPolicy): number {
  return policy.ttlS + Math.max(policy.staleWhileRevalidateS, policy.staleIfErrorS);
}

/**
 * How long the clock has to remember changes, so that it can judge every entry that is served as valid, in seconds. What
 * stands in for a failing origin needs no verdict.
 */
export function judgedForS(policy: FreshnessPolicy): number {
  return policy.ttlS + policy.staleWhileRevalidateS;
}

/**
 * `max-age` for caches outside this service, in whole seconds: the rest of the bound, so that an answer from such a
 * cache still keeps the level's promise. It counts from `Age`, which the answer has to carry (RFC 9111 §4.2.3). It is
 * 0 where the answer must be revalidated each time; the ETag makes that cheap.
 *
 * @param mirrorAgeMs age of the mirror that validated the entry or stamped the fill, in milliseconds, as of now. A
 *   sync that completed in between makes the mirror younger, but not its earlier verdict.
 */
export function maxAgeForOthers(answer: {
  readonly level: ReadLevel;
  readonly boundMs: number;
  readonly mirrorAgeMs: number;
  readonly decision: Omit<Decision, 'refresh'>;
}): number {
  const { serve, reason, ageS, ttlLeftS } = answer.decision;
  if (isPromisedTheClock(answer.level)) return 0;
  if (serve !== 'fresh' || reason === 'unverified') return 0;
  const boundLeftS = Math.floor((answer.boundMs - answer.mirrorAgeMs) / 1_000);
  const leftS = Math.min(boundLeftS, ttlLeftS);
  return leftS > 0 ? ageS + leftS : 0;
}

interface Times {
  readonly ttlMs: number;
  readonly elapsedMs: number;
  readonly leftMs: number;
  /**
   * Upper bound of how long the entry has been invalid or expired; negative while it is neither. The clock stores no
   * times, so the time of an invalidation is unknown, and the fill is the earliest possible one.
   */
  readonly staleForMs: number;
}

function timesOf({ policy, key, entry, tags }: Question, nowMs: number): Times {
  const ttlMs = timeToLiveMs(policy, key, entry);
  const elapsedMs = Math.max(0, nowMs - entry.filledAt);
  const staleForMs = tags === 'valid' ? elapsedMs - ttlMs : elapsedMs;
  return { ttlMs, elapsedMs, leftMs: ttlMs - elapsedMs, staleForMs };
}

function verdict(
  { policy, level, key, entry, tags }: Question,
  { ttlMs, leftMs, staleForMs }: Times,
  random: number,
): Pick<Decision, 'serve' | 'refresh' | 'reason'> {
  const mayRevalidate = staleForMs < policy.staleWhileRevalidateS * 1_000;
  switch (tags) {
    case 'unverified':
      // Without the clock there is no stamp, so a background refresh could not store its result.
      return leftMs > 0 && !isPromisedTheClock(level)
        ? { serve: 'fresh', refresh: 'none', reason: 'unverified' }
        : { serve: 'no', refresh: 'now', reason: 'unverified' };
    case 'invalidated':
      return level === 'eventual' && mayRevalidate
        ? { serve: 'stale', refresh: 'background', reason: 'invalidated' }
        : { serve: 'no', refresh: 'now', reason: 'invalidated' };
    case 'valid':
      if (leftMs <= 0)
        return mayRevalidate
          ? { serve: 'stale', refresh: 'background', reason: 'expired' }
          : { serve: 'no', refresh: 'now', reason: 'expired' };
      return aheadByMs(policy, key, entry, ttlMs) >= leftMs ||
        earlyByMs(policy, ttlMs, entry.fillMs ?? 0, random) >= leftMs
        ? { serve: 'fresh', refresh: 'background', reason: 'early' }
        : { serve: 'fresh', refresh: 'none', reason: 'fresh' };
  }
}

/** How long before its expiry every read refreshes the entry, in milliseconds; 0 for never. */
function aheadByMs({ refreshAhead }: FreshnessPolicy, key: string, entry: Filled, ttlMs: number): number {
  if (refreshAhead === 0) return 0;
  return ttlMs * refreshAhead * (AHEAD_REST + (1 - AHEAD_REST) * drawsOf(key, entry).ahead);
}

/**
 * How long before the expiry this read would refresh, in milliseconds: XFetch of Vattani, Chierichetti and
 * Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", PVLDB 8(8), 2015. An exponential draw with mean
 * `fillMs * beta`, so a read with `r` ms left refreshes with probability exp(-r / (fillMs * beta)).
 *
 * Readers that cannot see each other's refreshes start about exp(1 / beta) refreshes in all, whatever their number:
 * the number of early draws grows by that factor while the first fill runs.
 */
function earlyByMs(policy: FreshnessPolicy, ttlMs: number, fillMs: number, random: number): number {
  const meanMs = Math.min(Math.max(0, fillMs) * policy.beta, ttlMs * EARLY_SHARE_MAX);
  // 1 - random is in (0, 1], so the logarithm is finite.
  return -meanMs * Math.log(1 - random);
}

import { DeclarationMistake } from './mistake.ts';

/** The consistency that a reader gets by default; see docs/coherence.md. */
export const CONSISTENCY_LEVELS = ['strong', 'bounded', 'eventual'] as const;
export type ConsistencyLevel = (typeof CONSISTENCY_LEVELS)[number];

/** The places that may hold answers, nearest first. */
export const TIERS = ['memory', 'colo', 'kv'] as const;
export type TierName = (typeof TIERS)[number];

/** The tiers of a policy that names none. Each fill would write to KV, and a write costs as much as 17 requests. */
export const DEFAULT_TIERS: readonly TierName[] = ['memory', 'colo'];

/**
 * The rules that depend on time: how long an entry is fresh, when it is refreshed ahead of its expiry, and how long it
 * may be served stale or stand in afterwards. Whether its tags are still valid is the clock's verdict
 * (`clock/clock.ts`) and comes in as an argument; so do the time and the random number.
 */
export interface FreshnessPolicy {
  /**
   * The longest time that an entry is fresh, in seconds, even if its tags are valid. It bounds the staleness that a
   * lost invalidation causes.
   */
  readonly ttlS: number;
  /** The share of the time to live, 0 to 0.5, by which an entry may expire sooner. */
  readonly jitter: number;
  /** How long a stale entry may be served while it is refreshed, in seconds; 0 for never (RFC 5861 §3). */
  readonly staleWhileRevalidateS: number;
  /** How long a stale entry may stand in for a failing origin, in seconds; 0 for never (RFC 5861 §4). */
  readonly staleIfErrorS: number;
  /**
   * Which readers get a stale entry while the origin fails. `bounded`: bounded and eventual ones; strong and session
   * readers get 503. `all`: these too, so that their level's promise does not hold for answers that are marked.
   */
  readonly staleIfErrorFor: 'bounded' | 'all';
  /** The time to live of a negative answer ("not found"), in seconds; never more than `ttlS`. */
  readonly negativeTtlS: number;
  /**
   * How eagerly entries are refreshed early: 1 is the paper's optimum, a greater value refreshes sooner, 0 never does.
   */
  readonly beta: number;
  /**
   * The last share of the time to live, 0 to 0.9, over which the refreshes of entries that are read are spread; 0 for
   * never. Each entry is refreshed by its first read after a moment of its own in that share, but for its last tenth, which
   * leaves the refresh time to end.
   */
  readonly refreshAhead: number;
}

export const DEFAULT_FRESHNESS_POLICY: FreshnessPolicy = {
  ttlS: 300,
  // Spreads the expiry of entries that one deploy or one warm-up filled together over half a minute.
  jitter: 0.1,
  // As long as jitter shortens the time to live at most, so no entry is served without a refill for more than 330 s.
  staleWhileRevalidateS: 30,
  staleIfErrorS: 3_600,
  staleIfErrorFor: 'bounded',
  // Short, because a view easily omits the tag that would invalidate a negative answer when the row appears.
  negativeTtlS: 60,
  beta: 1,
  // 1,000 busy entries that were filled in one second need about 8 fills a second two to five minutes later, and not 30.
  // Each is filled 1.4 times in a time to live for it.
  refreshAhead: 0.5,
};

const DAY_S = 86_400;

/**
 * Greatest value of each field; the least is 0. With more than a day, a time to live no longer bounds staleness
 * usefully.
 */
export const FRESHNESS_MAX: Omit<FreshnessPolicy, 'staleIfErrorFor'> = {
  ttlS: DAY_S,
  jitter: 0.5,
  staleWhileRevalidateS: DAY_S,
  staleIfErrorS: DAY_S,
  negativeTtlS: DAY_S,
  beta: 10,
  refreshAhead: 0.9,
};

/**
 * A policy with every field set.
 *
 * @throws DeclarationMistake for a field outside 0 and `FRESHNESS_MAX`: at load, where policies are declared.
 */
export function freshnessPolicy(declared: Partial<FreshnessPolicy> = {}): FreshnessPolicy {
  const policy = { ...DEFAULT_FRESHNESS_POLICY, ...declared };
  for (const [field, max] of Object.entries(FRESHNESS_MAX)) {
    const value: unknown = policy[field as keyof FreshnessPolicy];
    if (typeof value !== 'number' || !(value >= 0 && value <= max))
      throw new DeclarationMistake(`${field} is ${value}.`, `Give it a number from 0 to ${max}.`);
  }
  return policy;
}

export interface CachePolicy extends FreshnessPolicy {
  readonly level: ConsistencyLevel;
  /** Greatest age of the clock's mirror for `bounded` reads, in milliseconds. */
  readonly boundMs: number;
  /**
   * How far a source's watermark may lag behind its commits, in milliseconds, before the source is suspect, for
   * `bounded` and `eventual` reads. While there are readers, the sources are checked every half of it.
   */
  readonly sourceBoundMs: number;
  /**
   * What answers while the clock is unreachable or a source is suspect: the origin (correct, slower), or the entry,
   * marked unverified.
   */
  readonly whenUnverified: 'origin' | 'stale';
  /**
   * The tiers that hold the view's answers. `kv` has to be named: it suits views with few keys that are expensive to
   * read, because each fill is a write that the platform charges for.
   */
  readonly tiers: readonly TierName[];
  /** Whether concurrent misses of one key, anywhere, share one read of the origin. */
  readonly singleFlight: boolean;
  /**
   * Whether a sample of the hits is compared with the origin. Set it to false for answers that change with time alone.
   */
  readonly probe: boolean;
  /** Whether answers that are expected to be requested are filled ahead (docs/coherence.md, "Warming"). */
  readonly warm: boolean;
}

/** Two intervals of the cron that checks the outbox each minute, so that one run may fail. */
const SOURCE_BOUND_MS = 120_000;
/** Concurrent readers may share an answer that is some seconds old, so a smaller bound cannot be kept. */
const SOURCE_BOUND_MS_MIN = 10_000;

/**
 * A view's policy, with defaults for absent fields.
 *
 * @throws DeclarationMistake for a value out of its range.
 */
export function cachePolicy(declared: Partial<CachePolicy> = {}): CachePolicy {
  const { level = 'bounded', boundMs = 2_000, whenUnverified = 'origin', ...others } = declared;
  const {
    tiers = DEFAULT_TIERS,
    singleFlight = true,
    probe = true,
    warm = true,
    sourceBoundMs = SOURCE_BOUND_MS,
    ...freshness
  } = others;
  if (!(sourceBoundMs >= SOURCE_BOUND_MS_MIN))
    throw new DeclarationMistake(
      `sourceBoundMs is ${sourceBoundMs}.`,
      `It has to be at least ${SOURCE_BOUND_MS_MIN}.`,
    );
  const places = { tiers, singleFlight, probe, warm };
  return { ...freshnessPolicy(freshness), level, boundMs, sourceBoundMs, whenUnverified, ...places };
}

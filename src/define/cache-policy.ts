/** What a reader is promised when it asks for nothing else; see docs/coherence.md. */
export const CONSISTENCY_LEVELS = ['strong', 'bounded', 'eventual'] as const;
export type ConsistencyLevel = (typeof CONSISTENCY_LEVELS)[number];

/** The places that may hold answers, nearest first. */
export const TIERS = ['memory', 'colo', 'kv'] as const;
export type TierName = (typeof TIERS)[number];

/**
 * What time decides about an entry: how long it is fresh, when it is refreshed ahead of its expiry, and how long
 * it may be served or stand in afterwards. Whether its tags still hold is the clock's verdict (`clock/clock.ts`)
 * and comes in as an argument; so do the time and the random number.
 */
export interface FreshnessPolicy {
  /** How long an entry is fresh at most, in seconds, however valid its tags are: the net under a lost event. */
  readonly ttlS: number;
  /** The share of the time to live, 0 to 0.5, by which an entry may expire sooner. */
  readonly jitter: number;
  /** How long a stale entry may be served while it is refreshed, in seconds; 0 for never (RFC 5861 §3). */
  readonly staleWhileRevalidateS: number;
  /** How long a stale entry may stand in for a failing origin, in seconds; 0 for never (RFC 5861 §4). */
  readonly staleIfErrorS: number;
  /** The time to live of "there is no such thing", in seconds; never more than `ttlS`. */
  readonly negativeTtlS: number;
  /** How eagerly entries are refreshed early: 1 is the paper's optimum, more is sooner, 0 is never. */
  readonly beta: number;
}

export const DEFAULT_FRESHNESS_POLICY: FreshnessPolicy = {
  ttlS: 300,
  // Enough that what one deploy or one warm-up filled together expires over half a minute.
  jitter: 0.1,
  // As much as jitter takes off at most, so no entry is served without a refill for more than 330 s.
  staleWhileRevalidateS: 30,
  staleIfErrorS: 3_600,
  // The tag that would make a thing appear is the one that a view most easily forgets to name.
  negativeTtlS: 60,
  beta: 1,
};

const DAY_S = 86_400;

/** Greatest value of each field; the least is 0. Beyond a day, a time to live is no net under anything. */
export const FRESHNESS_MAX: FreshnessPolicy = {
  ttlS: DAY_S,
  jitter: 0.5,
  staleWhileRevalidateS: DAY_S,
  staleIfErrorS: DAY_S,
  negativeTtlS: DAY_S,
  beta: 10,
};

/**
 * A policy with every field set.
 *
 * @throws RangeError for a field outside 0 and `FRESHNESS_MAX`: at load, where policies are declared.
 */
export function freshnessPolicy(declared: Partial<FreshnessPolicy> = {}): FreshnessPolicy {
  const policy = { ...DEFAULT_FRESHNESS_POLICY, ...declared };
  for (const [field, max] of Object.entries(FRESHNESS_MAX)) {
    const value: unknown = policy[field as keyof FreshnessPolicy];
    if (typeof value !== 'number' || !(value >= 0 && value <= max))
      throw new RangeError(`${field} is ${value}; it has to be a number from 0 to ${max}.`);
  }
  return policy;
}

export interface CachePolicy extends FreshnessPolicy {
  readonly level: ConsistencyLevel;
  /** Greatest age of the clock's mirror for `bounded` reads, in milliseconds. */
  readonly boundMs: number;
  /**
   * How far behind a source's commits its watermark may be, in milliseconds, before the source is suspect: for
   * `bounded` and `eventual` reads. Half of it is how often the sources are looked after while somebody reads.
   */
  readonly sourceBoundMs: number;
  /** What answers while the clock is out of reach, or a source is suspect: the origin (correct, slower) or the entry, marked unverified. */
  readonly whenUnverified: 'origin' | 'stale';
  /** Which places hold the view's answers. */
  readonly tiers: readonly TierName[];
  /** Whether concurrent misses of one key, anywhere, share one read of the origin. */
  readonly singleFlight: boolean;
  /** Whether a sample of the hits is compared with the origin: not where answers change with time alone. */
  readonly probe: boolean;
  /** Whether answers that are expected to be asked for are filled ahead (docs/coherence.md, "Warming"). */
  readonly warm: boolean;
}

/** Two beats of the cron that looks after the outbox each minute: one may be missed. */
const SOURCE_BOUND_MS = 120_000;
/** An answer that concurrent readers share may be some seconds old: less cannot be promised with it. */
const SOURCE_BOUND_MS_MIN = 10_000;

/**
 * A view's policy, with what it does not say filled in.
 *
 * @throws RangeError for a value out of its range.
 */
export function cachePolicy(declared: Partial<CachePolicy> = {}): CachePolicy {
  const { level = 'bounded', boundMs = 2_000, whenUnverified = 'origin', ...others } = declared;
  const {
    tiers = TIERS,
    singleFlight = true,
    probe = true,
    warm = true,
    sourceBoundMs = SOURCE_BOUND_MS,
    ...freshness
  } = others;
  if (!(sourceBoundMs >= SOURCE_BOUND_MS_MIN))
    throw new RangeError(`sourceBoundMs is ${sourceBoundMs}; it has to be at least ${SOURCE_BOUND_MS_MIN}.`);
  const places = { tiers, singleFlight, probe, warm };
  return { ...freshnessPolicy(freshness), level, boundMs, sourceBoundMs, whenUnverified, ...places };
}

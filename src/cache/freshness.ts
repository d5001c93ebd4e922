import type { FreshnessPolicy } from '../define/cache-policy.ts';
import { hashedFraction } from '../platform/random.ts';
import type { Entry } from './entry.ts';

/**
 * The mean lead of an early refresh at most, as a share of the time to live. Without it, every read would refresh
 * an answer whose fill takes about as long as it lives.
 */
const EARLY_SHARE_MAX = 0.1;

/** Any number: it only keeps these draws apart from other uses of the same hash. */
const JITTER_BASIS = 0x7e57_11fe;

/** A reader's level, with its token counted as a level of its own. */
export type ReadLevel = 'strong' | 'session' | 'bounded' | 'eventual';

/**
 * The clock's verdict. `unverified` stands for a clock that is out of reach under a policy that lets entries be
 * served without it; where the policy does not, the reader asks the origin and not this module.
 */
export type TagVerdict = 'valid' | 'invalidated' | 'unverified';

/** An `Entry` as far as time is concerned. */
export interface Filled extends Pick<Entry, 'body' | 'filledAt'> {
  /** How long the fill took, in milliseconds; without it nothing is refreshed early. */
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
  /** `stale` answers have to tell that they are. */
  readonly serve: 'fresh' | 'stale' | 'no';
  /** `now`: the reader waits for the origin. `background`: it does not, and one refresh is enough. */
  readonly refresh: 'none' | 'background' | 'now';
  readonly reason: 'fresh' | 'early' | 'expired' | 'invalidated' | 'unverified';
  /** For `Age`, in whole seconds. */
  readonly ageS: number;
  /** For `ttl` of RFC 9211 §2.4, in whole seconds; negative once the entry has expired. */
  readonly ttlLeftS: number;
}

/**
 * How long this very entry is fresh, in milliseconds. The jitter comes from the key and the time of the fill, so
 * every isolate gives one entry the same expiry, and entries filled together do not expire together.
 */
export function timeToLiveMs(policy: FreshnessPolicy, key: string, entry: Filled): number {
  const negative = entry.body === 'null';
  const ttlS = negative ? Math.min(policy.negativeTtlS, policy.ttlS) : policy.ttlS;
  return ttlS * 1_000 * (1 - policy.jitter * fractionOf(key, entry));
}

/** Drawn fractions of entries that are still there: every hit asks, and to hash a key again costs it half a microsecond. */
const fractions = new WeakMap<Filled, { readonly key: string; readonly fraction: number }>();

function fractionOf(key: string, entry: Filled): number {
  const known = fractions.get(entry);
  if (known?.key === key) return known.fraction;
  const fraction = hashedFraction(JITTER_BASIS, `${entry.filledAt}/${key}`);
  fractions.set(entry, { key, fraction });
  return fraction;
}

/**
 * Decides about one entry. An entry whose tags do not hold is refused to strong, session and bounded readers,
 * whatever the time is; `eventual` readers may get it within the window.
 *
 * @param nowMs milliseconds since the Unix epoch. A filler whose clock is ahead makes an age of 0 and never more
 *   than a whole time to live.
 * @param random uniform in [0, 1), drawn anew for each read.
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
 * Whether the entry may answer in place of an origin that is down. The answer has to tell. Levels do not matter
 * here: the alternative is no answer at all.
 */
export function mayStandIn(question: Omit<Question, 'level'>, nowMs: number): boolean {
  return timesOf(question, nowMs).staleForMs < question.policy.staleIfErrorS * 1_000;
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

/** How long a tier has to keep an entry so that neither window is cut short, in seconds. */
export function keepForS(policy: FreshnessPolicy): number {
  return policy.ttlS + Math.max(policy.staleWhileRevalidateS, policy.staleIfErrorS);
}

/**
 * `max-age` for caches that we do not own, in whole seconds: what is left of the bound, so that an answer out of
 * such a cache still keeps the level's promise. It counts from `Age`, which the answer has to carry (RFC 9111
 * §4.2.3), and is 0 where nothing may be kept without asking: then the ETag decides.
 *
 * @param mirrorAgeMs the age of the mirror that judged the entry, or that stamped the fill, counted up to now. A
 *   sync that came back in between makes the mirror younger, and not what it has judged before.
 */
export function maxAgeForOthers(answer: {
  readonly level: ReadLevel;
  readonly boundMs: number;
  readonly mirrorAgeMs: number;
  readonly decision: Omit<Decision, 'refresh'>;
}): number {
  const { serve, reason, ageS, ttlLeftS } = answer.decision;
  if (answer.level === 'strong' || answer.level === 'session') return 0;
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
   * Upper bound of how long the entry has been wrong or overdue, negative while it is neither. Clocks hold no
   * times, so when an entry was invalidated nobody knows: its fill is the earliest moment possible.
   */
  readonly staleForMs: number;
}

function timesOf({ policy, key, entry, tags }: Omit<Question, 'level'>, nowMs: number): Times {
  const ttlMs = timeToLiveMs(policy, key, entry);
  const elapsedMs = Math.max(0, nowMs - entry.filledAt);
  const staleForMs = tags === 'valid' ? elapsedMs - ttlMs : elapsedMs;
  return { ttlMs, elapsedMs, leftMs: ttlMs - elapsedMs, staleForMs };
}

function verdict(
  { policy, level, entry, tags }: Question,
  { ttlMs, leftMs, staleForMs }: Times,
  random: number,
): Pick<Decision, 'serve' | 'refresh' | 'reason'> {
  const isPromiseAboutTheClock = level === 'strong' || level === 'session';
  const mayRevalidate = staleForMs < policy.staleWhileRevalidateS * 1_000;
  switch (tags) {
    case 'unverified':
      // Without the clock there is no stamp, so a refresh in the background could store nothing.
      return leftMs > 0 && !isPromiseAboutTheClock
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
      return earlyByMs(policy, ttlMs, entry.fillMs ?? 0, random) >= leftMs
        ? { serve: 'fresh', refresh: 'background', reason: 'early' }
        : { serve: 'fresh', refresh: 'none', reason: 'fresh' };
  }
}

/**
 * How far ahead of the expiry this read would refresh, in milliseconds: XFetch of Vattani, Chierichetti and
 * Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", PVLDB 8(8), 2015. An exponential draw with mean
 * `fillMs * beta`, so a read with `r` ms left refreshes with probability exp(-r / (fillMs * beta)).
 *
 * Readers that do not know of each other's refreshes start about exp(1 / beta) of them in all, whatever their
 * number: the count of those who draw early grows by that factor in the time that the first one's fill takes.
 */
function earlyByMs(policy: FreshnessPolicy, ttlMs: number, fillMs: number, random: number): number {
  const meanMs = Math.min(Math.max(0, fillMs) * policy.beta, ttlMs * EARLY_SHARE_MAX);
  // One minus the number is in (0, 1]: the logarithm stays finite.
  return -meanMs * Math.log(1 - random);
}

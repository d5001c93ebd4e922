import type { CachePolicy } from '../define/cache-policy.ts';
import { formatToken, type Token } from './clock/clock.ts';
import { ageMs, type Mirror } from './clock/mirror.ts';
import type { Entry } from './entry.ts';
import { type Decision, maxAgeForOthers, type ReadLevel, withinGrain } from './freshness.ts';
import type { PhaseDetail } from './phases.ts';
import type { Tier } from './tiers/tier.ts';

/** Why the cache did not answer (RFC 9211 §2.2). */
export type ForwardReason = 'uri-miss' | 'stale' | 'bypass';

export interface CachedAnswer {
  readonly entry: Entry;
  readonly source:
    | { readonly hit: true; readonly tier: Tier['name']; readonly stale: boolean }
    | {
        readonly hit: false;
        readonly forward: ForwardReason;
        readonly stored: boolean;
        /** True if another request read the origin for this one. */
        readonly collapsed: boolean;
        /** Set if an entry was rejected only because its source is suspect, or if a switch keeps the cache out. */
        readonly because?: 'source-behind' | PhaseDetail | undefined;
      };
  /** Set, with the reason, if the answer may break the level's promise. */
  readonly unverified: Doubt | 'origin-unavailable' | undefined;
  readonly ageS: number;
  readonly ttlS: number;
  /** `max-age` for caches outside this service, in seconds, counted from `Age`. */
  readonly maxAgeS: number;
  /** The `seq` of the mirror that validated the entry or stamped its fill. */
  readonly judgedSeq: number;
  /** Age of that mirror, in milliseconds: what was invalidated since then may be missing from a verified answer. */
  readonly mirrorAgeMs: number;
  /** The clock's moment for this answer; undefined while the clock cannot be reached. */
  readonly token: string | undefined;
}

/** Why the mirror alone cannot validate an entry: the clock is unreachable, or a source's watermark is too old. */
export type Doubt = 'clock-unavailable' | 'source-behind';

/** The parts of a request that its answer shows. */
export interface Asked {
  readonly level: ReadLevel;
  readonly policy: Pick<CachePolicy, 'boundMs' | 'ttlS'>;
  readonly grainMs?: number | undefined;
}

/** Why an entry is served. Without a decision it was just filled. */
interface How {
  readonly decision?: Omit<Decision, 'refresh'>;
  readonly unverified?: CachedAnswer['unverified'];
}

/** The decision for an entry that was just filled. */
const JUST_FILLED = { serve: 'fresh', reason: 'fresh', ageS: 0 } as const;

/**
 * The answer that an entry gives to a request.
 *
 * @param mirror the mirror that validated the entry or stamped its fill.
 * @param nowMs milliseconds since the Unix epoch.
 */
export function answerFrom(
  entry: Entry,
  source: CachedAnswer['source'],
  { level, policy, grainMs }: Asked,
  mirror: Mirror,
  nowMs: number,
  { unverified, decision: decided = { ...JUST_FILLED, ttlLeftS: policy.ttlS } }: How = {},
): CachedAnswer {
  const { clock } = mirror;
  const decision = grainMs === undefined ? decided : withinGrain(decided, grainMs, entry, nowMs);
  const isVerified = unverified === undefined;
  const others = { level, boundMs: policy.boundMs, mirrorAgeMs: ageMs(mirror, nowMs), decision };
  return {
    entry,
    source,
    unverified,
    ageS: Math.max(0, Math.floor((nowMs - entry.filledAt) / 1_000)),
    ttlS: decision.ttlLeftS,
    maxAgeS: isVerified ? maxAgeForOthers(others) : 0,
    judgedSeq: clock.seq,
    mirrorAgeMs: others.mirrorAgeMs,
    token: isVerified ? tokenOf(entry, clock) : undefined,
  };
}

/**
 * The answer's token: the mirror's `seq`, or a later one if the entry shows changes that were invalidated later. With
 * a lower token, another isolate could answer the same session from an older entry.
 */
function tokenOf({ epoch, stamp, asOf = 0 }: Entry, clock: Token): string | undefined {
  // A mirror that has never synced has no moment to put into a token. A fill that began in an epoch which has ended since
  // may show changes of the new epoch that no moment covers.
  if (asOf === null || clock.epoch === '' || epoch !== clock.epoch) return undefined;
  return formatToken({ epoch, seq: Math.max(clock.seq, stamp, asOf) });
}

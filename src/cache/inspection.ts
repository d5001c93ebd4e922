import type { CachePolicy, TierName } from '../define/cache-policy.ts';
import { type Clock, isValid } from './clock/clock.ts';
import { tagHash } from './clock/tag-hash.ts';
import { type Entry, isNegative } from './entry.ts';
import { decide, grainEndMs, timeToLiveMs } from './freshness.ts';

/** Why an entry is valid, or the first reason why it is not. */
export type Judgement =
  | 'valid'
  | 'clock-unavailable'
  | 'another-epoch'
  | 'forgotten'
  | 'tag-changed'
  | 'grain-over'
  | 'expired';

export interface InspectedTag {
  /** Null where no known name has this hash. */
  readonly tag: string | null;
  readonly hash: number;
  /** The number of the tag's newest invalidation; null if the clock remembers none. */
  readonly changedAt: number | null;
  /** Whether that came after the entry's fill. */
  readonly isChanged: boolean;
}

/** An entry without its body, and without what could stand for it. */
export interface InspectedEntry {
  readonly judgement: Judgement;
  readonly filledAt: string;
  readonly ageS: number;
  /** The whole time to live with its jitter, and what is left of it; negative once it has expired. */
  readonly ttlS: number;
  readonly ttlLeftS: number;
  readonly epoch: string;
  /** The clock's number before the fill: an entry is valid while no tag has a greater one. */
  readonly stamp: number;
  readonly isNotFound: boolean;
  readonly tags: readonly InspectedTag[];
}

export interface InspectedTier {
  readonly tier: TierName;
  /** `unused`: the policy of the view does not name the tier. */
  readonly state: 'entry' | 'none' | 'unused';
  readonly entry: InspectedEntry | null;
}

/** What an entry is judged by. */
export interface Inspecting {
  readonly key: string;
  readonly policy: CachePolicy;
  readonly grainMs: number | undefined;
  /** Undefined if the clock did not answer. */
  readonly clock: Clock | undefined;
  readonly nowMs: number;
  /** Names that the entry's tags may have. */
  readonly names: readonly string[];
}

/** Judges an entry as a bounded reader's request does now, with each of its tags. */
export function inspectEntry(entry: Entry, at: Inspecting): InspectedEntry {
  const { key, policy, clock, nowMs, names } = at;
  const nameOf = new Map(names.map((name) => [tagHash(name), name]));
  const { ageS, ttlLeftS } = decide({ policy, level: 'bounded', key, entry, tags: 'valid' }, nowMs, 0);
  const tags = entry.tagHashes.map((hash) => {
    const changedAt = clock?.changed.newestSeqOf(hash) || null;
    return { tag: nameOf.get(hash) ?? null, hash, changedAt, isChanged: (changedAt ?? 0) > entry.stamp };
  });
  return {
    judgement: judgementOf(entry, at),
    filledAt: new Date(entry.filledAt).toISOString(),
    ...{ ageS, ttlS: Math.round(timeToLiveMs(policy, key, entry) / 1_000), ttlLeftS },
    ...{ epoch: entry.epoch, stamp: entry.stamp, isNotFound: isNegative(entry), tags },
  };
}

function judgementOf(entry: Entry, { clock, grainMs, nowMs, key, policy }: Inspecting): Judgement {
  if (clock === undefined) return 'clock-unavailable';
  if (entry.epoch !== clock.epoch) return 'another-epoch';
  if (entry.stamp < clock.changed.floorSeq) return 'forgotten';
  if (!isValid(clock, entry, entry.tagHashes)) return 'tag-changed';
  if (nowMs >= grainEndMs(grainMs, entry)) return 'grain-over';
  return nowMs - entry.filledAt >= timeToLiveMs(policy, key, entry) ? 'expired' : 'valid';
}

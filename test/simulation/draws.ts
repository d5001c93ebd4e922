import { type CachePolicy, cachePolicy, type TierName } from '../../src/define/cache-policy.ts';
import type { Random } from '../../src/platform/random.ts';

/** How long a burst takes, in milliseconds: most steps fall together, where they can race. */
export const BURST_MS = 400;

/** When a step begins, in milliseconds since the world began. */
export type MomentOf = () => number;

/** A whole number from 0 to below the limit. */
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

export function pick<T>(random: Random, among: readonly T[]): T {
  return among[below(random, among.length)] as T;
}

export function policyOf(random: Random): CachePolicy {
  const tierSets: readonly (readonly TierName[])[] = [
    ['memory', 'colo', 'kv'],
    ['memory'],
    ['kv'],
    ['memory', 'kv'],
    ['colo'],
  ];
  return cachePolicy({
    boundMs: pick(random, [200, 500, 2_000]),
    sourceBoundMs: 10_000,
    ttlS: pick(random, [2, 300, 300]),
    staleWhileRevalidateS: pick(random, [0, 5]),
    staleIfErrorS: pick(random, [0, 3_600]),
    negativeTtlS: 60,
    whenUnverified: pick(random, ['origin', 'origin', 'stale']),
    singleFlight: random() < 0.6,
    tiers: pick(random, tierSets),
    beta: pick(random, [0, 1]),
  });
}

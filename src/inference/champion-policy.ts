import { cachePolicy } from '../define/cache-policy.ts';

/** How a model's champion is cached. If the clock is unreachable, the last known version continues to answer. */
export const CHAMPION_POLICY = cachePolicy({ ttlS: 3_600, whenUnverified: 'stale', singleFlight: false });

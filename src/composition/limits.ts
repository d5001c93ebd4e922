import { tagHash } from '../cache/clock/tag-hash.ts';
import type { Limits } from '../define/limits.ts';
import { Charging } from '../gateway/limits/charging.ts';
import { systemTime } from '../platform/clock.ts';
import type { Env } from './env.ts';
import { rateLimiter } from './objects.ts';

/** The objects that share the budgets. Each answers about 1,000 questions a second. */
export const RATE_LIMITERS = 16;

/** The budgets of a catalog, in the objects of a worker. */
export function chargingOf(
  env: Env,
  limits: Limits,
  isLimiting: boolean,
  onRefused: (budget: string, lane: string) => void,
): Charging {
  return new Charging(
    limits,
    systemTime,
    ({ partition, policy }, question) =>
      rateLimiter(env, tagHash(partition) % RATE_LIMITERS).ask(partition, policy, question),
    onRefused,
    isLimiting,
  );
}

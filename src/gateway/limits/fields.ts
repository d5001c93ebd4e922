import type { Budget } from '../../limits/budgets.ts';
import { chargeMax, type Lane, type Policy } from '../../limits/policy.ts';

const PERIOD_S = { day: 86_400, month: 2_592_000 } as const;

/** The quota and the window of a policy, in units and in seconds. A bucket fills within its window. */
function quotaOf(policy: Policy): { readonly units: number; readonly windowS: number } {
  if (policy.kind === 'quota') return { units: policy.units, windowS: PERIOD_S[policy.period] };
  return { units: policy.burst, windowS: Math.ceil(policy.burst / policy.perSecond) };
}

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10) for the budget that a request was charged to.
 * What remains is an estimate: other isolates spend too, and reads do not get the part that is reserved for writes.
 *
 * @param resetS when there are units again, in seconds; a bucket gets some all the time.
 */
export function limitFields(
  { budget, lane }: { readonly budget: Budget; readonly lane: Lane },
  nowMs: number,
  resetS = 1,
): Readonly<Record<string, string>> {
  const { kind, policy } = budget;
  const { units, windowS } = quotaOf(policy);
  const most = policy.kind === 'rate' ? chargeMax(policy, lane) : policy.units;
  const remaining = Math.min(most, budget.of(lane, nowMs).remaining(nowMs));
  return {
    'ratelimit-policy': `"${kind}";q=${Math.floor(units)};w=${windowS}`,
    ratelimit: `"${kind}";r=${remaining};t=${resetS}`,
  };
}

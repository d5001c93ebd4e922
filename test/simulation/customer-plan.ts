import { shardOf } from '../../src/features/shards.ts';
import type { Random } from '../../src/platform/random.ts';
import { BURST_MS, below, type MomentOf, pick, policyOf } from './draws.ts';
import {
  CUSTOMER_KEYS,
  CUSTOMERS,
  ISOLATES,
  keysOfCustomer,
  type Plan,
  predictionFor,
  type Step,
  type Visit,
} from './steps.ts';

const PURCHASES = 8;
const PROMOTIONS = 3;
const CUSTOMER_READS = 24;
const CUSTOMER_SESSIONS = 4;

/**
 * A purchase, of a customer whose features two isolates have in memory, and a session that asks one isolate twice and
 * then others. At times the buyer's isolate is cut off from the root, so that the fold stays open; the shard is evicted
 * just then; or the customer buys again elsewhere.
 */
function purchaseOf(random: Random, atMs: number, id: string): Step[] {
  const isolateOf = () => below(random, ISOLATES);
  const customer = pick(random, CUSTOMERS);
  const keys = keysOfCustomer(customer);
  const [isolate, near, far] = [isolateOf(), isolateOf(), isolateOf()];
  const key = pick(random, keys);
  const soon = (fromMs: number, toMs: number) =>
    Math.max(0, Math.round(atMs + fromMs + random() * (toMs - fromMs)));
  const level = 'bounded';
  const buys = (at: number, by: number): Step => {
    return { kind: 'purchase', atMs: at, isolate: by, customer, watchers: [isolateOf(), isolateOf()] };
  };
  const visits = [near, near, far, near, far].map((at): Visit => {
    const does = { read: random() < 0.7 ? key : pick(random, keys) };
    return { isolate: at, afterMs: 1 + below(random, 150), does };
  });
  const cut = { kind: 'cut', a: 'root', b: `isolate ${isolate}` } as const;
  return [
    { kind: 'read', atMs: soon(-500, -200), isolate: near, key, level },
    { kind: 'read', atMs: soon(-500, -200), isolate: far, key, level },
    buys(atMs, isolate),
    { kind: 'session', atMs: soon(0, 500), id, visits },
    ...(random() < 0.5 ? [{ ...cut, atMs: soon(50, 150), forMs: 300 + below(random, 1_500) }] : []),
    ...(random() < 0.4
      ? [{ kind: 'restart', atMs: soon(150, 600), machine: shardOf('customer', customer) } as const]
      : []),
    ...(random() < 0.4 ? [buys(soon(0, 300), isolateOf())] : []),
  ];
}

/**
 * Customers buy in bursts. Shards are evicted, and cut off from those who read and fold; the root is cut off from the consumer.
 */
export function customersOf(random: Random, bursts: readonly number[]): Pick<Plan, 'policies' | 'steps'> {
  const momentOf: MomentOf = () =>
    Math.round(Math.max(0, pick(random, bursts) + (random() - 0.5) * BURST_MS * 4));
  const isolateOf = () => below(random, ISOLATES);
  const keyOfOne = () => pick(random, CUSTOMER_KEYS);
  const watchers = () => [isolateOf(), isolateOf()];
  const purchases = Array.from({ length: PURCHASES }, (_, n) => purchaseOf(random, momentOf(), `p${n}`));
  const promotions = Array.from({ length: PROMOTIONS }, (): Step => {
    return { kind: 'promote', atMs: momentOf(), isolate: isolateOf(), watchers: watchers() };
  });
  const reads = Array.from({ length: CUSTOMER_READS }, (): Step => {
    const level = pick(random, ['strong', 'bounded', 'bounded', 'eventual'] as const);
    return { kind: 'read', atMs: momentOf(), isolate: isolateOf(), key: keyOfOne(), level };
  });
  const sessions = Array.from({ length: CUSTOMER_SESSIONS }, (_, n): Step => {
    const customer = pick(random, CUSTOMERS);
    const visits = Array.from({ length: 2 + below(random, 5) }, (): Visit => {
      const does = random() < 0.7 ? { read: pick(random, keysOfCustomer(customer)) } : { buys: customer };
      return { isolate: isolateOf(), afterMs: Math.round(random() ** 3 * 2_000), does };
    });
    return { kind: 'session', atMs: momentOf(), id: `c${n}`, visits };
  });
  const shardOfOne = () => shardOf('customer', pick(random, CUSTOMERS));
  const troubles = Array.from({ length: below(random, 6) }, (): Step => {
    const atMs = momentOf();
    const forMs = Math.round(200 + random() * 4_000);
    const luck = random();
    if (luck < 0.5) return { kind: 'restart', atMs, machine: shardOfOne() };
    const links: readonly (readonly [string, string])[] = [
      [`isolate ${isolateOf()}`, shardOfOne()],
      ['consumer', shardOfOne()],
      ['consumer', 'root'],
    ];
    const [a, b] = pick(random, links);
    if (luck < 0.8) return { kind: 'cut', atMs, a, b, forMs };
    return { kind: 'hang', atMs, a, b, how: pick(random, ['never', 'late']), forMs };
  });
  const policies = Object.fromEntries(
    CUSTOMERS.map((customer) => [predictionFor(customer), policyOf(random)]),
  );
  return { policies, steps: [...purchases.flat(), ...promotions, ...reads, ...sessions, ...troubles] };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { cacheKey } from '../../src/cache/cache-key.ts';
import { poolOf } from '../../src/cache/gate-pool.ts';
import { fillGateName } from '../../src/composition/placement.ts';
import { shardOf } from '../../src/features/shards.ts';
import { type Region, regionOf } from '../../src/platform/regions.ts';
import type { History } from './history.ts';
import { type Products, pick } from './products.ts';
import type { Customers } from './purchases.ts';
import { CONTINENTS } from './readers.ts';
import type { DurableObjectClass, Runtime } from './runtime.ts';

/**
 * Between two disturbances of a kind, in milliseconds at most. After a restart the root has no watermarks, and bounded
 * reads go to the origin until a heartbeat has set them: with more frequent restarts nothing would be read from caches.
 */
const PAUSE_MS_MAX = { root: 20_000, region: 2_000, gate: 2_000, shard: 2_000, abort: 30_000 };
/** No pause is longer than this share of the run, so that a short one has every kind of disturbance. */
const PAUSE_SHARE_MAX = 0.25;
/** Between two kills of the runtime, in milliseconds; a short run has at least one. */
const KILL_PAUSE_MS = 20_000;
/** How many times as long as its last restart took the runtime is left alone at least: a slow machine would only restart it. */
const UP_OF_RESTART = 4;

interface Disturbed {
  readonly runtime: Runtime;
  readonly history: History;
  readonly products: Products;
  readonly customers: Pick<Customers, 'active'>;
  readonly signal: AbortSignal;
}

/** Evicts and aborts Durable Objects and kills the runtime until told to stop. */
export async function disturb(context: Disturbed, seconds: number): Promise<void> {
  const { runtime, history, products, customers, signal } = context;
  const startedAt = performance.now();
  // A run that takes longer than it was to, on a slow machine, is disturbed less often, so that it gets to its operations.
  const lengthMs = () => Math.max(seconds * 1_000, performance.now() - startedAt);
  let restartMs = 0;
  const killPauseMs = () => Math.max(Math.min(KILL_PAUSE_MS, lengthMs() / 2), UP_OF_RESTART * restartMs);
  const upTo = (usualMs: number) => () => Math.random() * Math.min(usualMs, lengthMs() * PAUSE_SHARE_MAX);
  const evict = async (className: DurableObjectClass, name: string, what: string) => {
    if (await runtime.evict(className, name)) history.count(`disturbance/evicted ${what}`);
  };
  await Promise.all([
    repeat(signal, upTo(PAUSE_MS_MAX.root), () => evict('TagClock', 'root', 'the root clock')),
    repeat(signal, upTo(PAUSE_MS_MAX.region), () => evict('TagClock', pickRegion(), 'a regional clock')),
    repeat(signal, upTo(PAUSE_MS_MAX.gate), () =>
      // The hottest keys have gates with waiters.
      evict('FillGate', fillGateName(pickRegion(), poolOf(hottestKey(products))), 'a fill gate'),
    ),
    repeat(signal, upTo(PAUSE_MS_MAX.shard), async () => {
      const [customer] = customers.active;
      if (customer !== undefined)
        await evict('FeatureShard', shardOf('customer', customer), 'a shard of features');
    }),
    repeat(signal, upTo(PAUSE_MS_MAX.abort), async () => {
      if (await runtime.abortAll()) history.count('disturbance/aborted all objects at once');
    }),
    repeat(signal, killPauseMs, async () => {
      const killedAt = performance.now();
      await runtime.kill();
      restartMs = performance.now() - killedAt;
      history.count('disturbance/killed the runtime');
    }),
  ]);
}

/** A region of the readers. */
function pickRegion(): Region {
  return regionOf({ continent: pick(CONTINENTS) });
}

function hottestKey(products: Products): string {
  return cacheKey('product', { sku: pick(products.hot.slice(0, 4)) }, {});
}

async function repeat(signal: AbortSignal, pauseMs: () => number, act: () => Promise<void>): Promise<void> {
  for (;;) {
    await sleep(pauseMs(), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await act();
  }
}

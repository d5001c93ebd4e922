import { evictDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { shardOf } from '../../src/features/shards.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const DAY_MS = 86_400_000;
/** Noon of today: a shard keeps what reads as of its own day need. */
const NOW = (Math.floor(Date.now() / DAY_MS) + 0.5) * DAY_MS;
const CUSTOMER = '17850';
const SHARD = shardOf('customer', CUSTOMER);
const OTHER =
  Array.from({ length: 200 }, (_, index) => `other-${index}`).find(
    (key) => shardOf('customer', key) === SHARD,
  ) ?? '';
const RUN = '11111111-1111-4111-8111-111111111111';
const NEXT_RUN = '22222222-2222-4222-8222-222222222222';

function bought(seq: number, customerId = CUSTOMER): FoldableEvent {
  const data = { invoice: 'A', sku: `S${seq % 3}`, quantity: 2, unitPrice: 1.5, customerId, country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - seq, data };
}

/** Repeats the steps of a flip; undefined if the run is superseded. */
async function flip(shard: ReturnType<typeof env.FEATURE_SHARD.getByName>, run: string) {
  for (;;) {
    const step = await shard.flip('customer', run);
    if (step.state === 'flipped') return step.outcome;
    if (step.state === 'superseded') return undefined;
  }
}

beforeAll(async () => {
  await serveEntity('customer');
});

describe('a rebuild in a feature shard', () => {
  it('shows readers the old cells until the flip, then the new ones, and names the keys that differ', async () => {
    const shard = env.FEATURE_SHARD.getByName(SHARD);
    const history = [bought(1), bought(2), bought(3, OTHER)];
    // What is read lacks an event, as after a fault.
    await shard.fold(SHARD, 'customer', [bought(1), bought(3, OTHER)]);
    const online = await shard.read('customer', [CUSTOMER], NOW);
    await shard.beginRebuild('customer', RUN);
    expect(await shard.build(SHARD, 'customer', RUN, history)).toBe(true);
    await evictDurableObject(shard);
    const again = env.FEATURE_SHARD.getByName(SHARD);
    expect(await again.read('customer', [CUSTOMER], NOW)).toEqual(online);
    // A page that is sent twice counts once.
    await again.build(SHARD, 'customer', RUN, history);
    const flipped = await flip(again, RUN);
    expect(flipped?.after).not.toEqual(flipped?.before);
    expect(await again.digest()).toEqual(flipped?.after);
    expect((await again.read('customer', [CUSTOMER], NOW))[0]).toMatchObject({ purchases_30d: { value: 2 } });
    expect(await again.changedKeys(10)).toEqual([CUSTOMER]);
    // The flip is told again as it was, and what is still to be invalidated stays until it is.
    expect(await flip(again, RUN)).toEqual(flipped);
    expect(await again.changedKeys(10)).toEqual([CUSTOMER]);
    await again.settle([CUSTOMER], { epoch: 'e', seq: 1 });
    expect(await again.changedKeys(10)).toEqual([]);
  });

  it('neither loses nor duplicates live events before, between and after the pages', async () => {
    const shard = env.FEATURE_SHARD.getByName(SHARD);
    const before = await shard.read('customer', [CUSTOMER], NOW);
    expect(before[0]?.['purchases_30d']).toMatchObject({ value: 2 });
    await shard.beginRebuild('customer', NEXT_RUN);
    await shard.fold(SHARD, 'customer', [bought(4)]);
    // History holds the event that came in meanwhile, too; and lacks one that is committed later.
    await shard.build(SHARD, 'customer', NEXT_RUN, [bought(1), bought(2), bought(3, OTHER), bought(4)]);
    await shard.fold(SHARD, 'customer', [bought(5), bought(4)]);
    const flipped = await flip(shard, NEXT_RUN);
    expect(flipped?.after).toEqual(flipped?.before);
    expect(await shard.changedKeys(10)).toEqual([]);
    await shard.fold(SHARD, 'customer', [bought(5), bought(6)]);
    expect((await shard.read('customer', [CUSTOMER], NOW))[0]).toMatchObject({ purchases_30d: { value: 5 } });
  });

  it('refuses the pages and the flip of a run that is not open', async () => {
    const shard = env.FEATURE_SHARD.getByName(SHARD);
    await shard.beginRebuild('customer', RUN);
    expect(await shard.build(SHARD, 'customer', NEXT_RUN, [bought(7)])).toBe(false);
    expect(await flip(shard, NEXT_RUN)).toBeUndefined();
  });
});

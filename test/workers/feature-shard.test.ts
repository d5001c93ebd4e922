import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { groupOf, partOf } from '../../src/features/groups.ts';
import { READY } from '../../src/features/open-folds.ts';
import { shardOf } from '../../src/features/shards.ts';
import { productView } from '../support/catalog/events.ts';
import { purchases, views } from '../support/catalog/features.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const DAY_MS = 86_400_000;
/** Noon of today: a shard keeps what reads as of its own day need. */
const NOW = (Math.floor(Date.now() / DAY_MS) + 0.5) * DAY_MS;
const CUSTOMER = '17850';
const SHARD = shardOf('customer', CUSTOMER);

function purchaseOf(
  seq: number,
  sku: string,
  daysAgo = 0,
  customerId: string | null = CUSTOMER,
): FoldableEvent {
  const data = { invoice: 'A', sku, quantity: 2, unitPrice: 1.5, customerId, country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - daysAgo * DAY_MS, data };
}

/** The part of a key in which a purchase counts. */
const bought = (key: string) => partOf(groupOf(purchases), key);
beforeAll(async () => {
  await serveEntity('customer');
});

describe('a feature shard', () => {
  it('folds each event once, even if it is delivered repeatedly and across evictions', async () => {
    const shard = env.FEATURE_SHARD.getByName(SHARD);
    const events = [purchaseOf(1, 'A'), purchaseOf(2, 'B', 40), purchaseOf(3, 'A', 1)];
    expect(await shard.fold(SHARD, 'customer', events)).toEqual({
      folded: 3,
      keys: [bought(CUSTOMER)],
      fold: 1,
    });
    const before = await shard.read('customer', [CUSTOMER], NOW);
    await evictDurableObject(shard);
    const again = env.FEATURE_SHARD.getByName(SHARD);
    expect(await again.fold(SHARD, 'customer', [...events].reverse())).toEqual({
      folded: 0,
      keys: [bought(CUSTOMER)],
      fold: 1,
    });
    expect(await again.read('customer', [CUSTOMER], NOW)).toEqual(before);
    expect(before[0]).toMatchObject({
      purchases_30d: { value: 2, status: 'PRESENT' },
      purchases_365d: { value: 3 },
      spend_minor_90d: { value: 900 },
      last_purchase_at: { value: NOW },
      items: {
        value: [
          { item: 'A', count: 2, lastAt: NOW },
          { item: 'B', count: 1, lastAt: NOW - 40 * DAY_MS },
        ],
      },
    });
    expect(await again.foldedEvents()).toBe(3);
  });

  it('has a fold open until its invalidation is announced, across evictions too', async () => {
    const key = 'open';
    const name = shardOf('customer', key);
    const openOf = async () => {
      const shard = env.FEATURE_SHARD.getByName(name);
      const { folds } = await shard.readWithFolds('customer', [key], NOW);
      return { open: folds.open, at: folds.at.filter(({ epoch }) => epoch === 'e') };
    };
    const first = await env.FEATURE_SHARD.getByName(name).fold(name, 'customer', [
      purchaseOf(70, 'A', 0, key),
    ]);
    expect(first.keys).toEqual([bought(key)]);
    await evictDurableObject(env.FEATURE_SHARD.getByName(name));
    expect(await openOf()).toEqual({ open: [bought(key)], at: [] });
    const again = env.FEATURE_SHARD.getByName(name);
    // A redelivery invalidates it again, until somebody has said that it is invalidated.
    expect((await again.fold(name, 'customer', [purchaseOf(70, 'A', 0, key)])).keys).toEqual([bought(key)]);
    await again.announced({ keys: [bought(key)], fold: first.fold, ready: false }, { epoch: 'e', seq: 5 });
    expect(await openOf()).toEqual({ open: [], at: [{ epoch: 'e', seq: 5 }] });
    expect((await again.fold(name, 'customer', [purchaseOf(70, 'A', 0, key)])).keys).toEqual([]);
    await again.fold(name, 'customer', [purchaseOf(71, 'A', 0, key)]);
    await evictDurableObject(again);
    expect(await openOf()).toEqual({ open: [bought(key)], at: [{ epoch: 'e', seq: 5 }] });
  });

  it('has its readers invalidate once, not after each eviction', async () => {
    const key = 'idle';
    const name = shardOf('customer', key);
    const shard = () => env.FEATURE_SHARD.getByName(name);
    const shown = async () => {
      const { folds } = await shard().readWithFolds('customer', [key], NOW);
      return { open: folds.open, ready: folds.ready };
    };
    // The features of this file became ready when they were served, and nobody was told.
    expect((await shown()).ready).toBe(true);
    await shard().announced(READY, { epoch: 'e', seq: 7 });
    const { fold } = await shard().fold(name, 'customer', [purchaseOf(80, 'A', 0, key)]);
    await evictDurableObject(shard());
    expect(await shown()).toEqual({ open: [bought(key)], ready: false });
    await shard().announced({ keys: [bought(key)], fold, ready: false }, { epoch: 'e', seq: 8 });
    await evictDurableObject(shard());
    expect(await shown()).toEqual({ open: [], ready: false });
  });

  it('is not ready anew after an eviction, without a fold in between', async () => {
    const name = shardOf('customer', 'quiet');
    const shard = () => env.FEATURE_SHARD.getByName(name);
    await shard().announced(READY, { epoch: 'e', seq: 9 });
    await evictDurableObject(shard());
    const { folds } = await shard().readWithFolds('customer', ['quiet'], NOW);
    expect(folds.ready).toBe(false);
  });

  it('opens the group of a key that an event counts in, and no other', async () => {
    const key = 'looker';
    const name = shardOf('customer', key);
    const shard = env.FEATURE_SHARD.getByName(name);
    const data = { sku: 'A', customerId: key, device: 'phone' };
    const look = { seq: 90, type: productView.type, occurredAt: NOW, data };
    const looked = partOf(groupOf(views), key);
    const seen = await shard.fold(name, 'customer', [look]);
    expect(seen.keys).toEqual([looked]);
    const both = await shard.fold(name, 'customer', [purchaseOf(91, 'A', 0, key), { ...look, seq: 92 }]);
    expect([...both.keys].sort()).toEqual([looked, bought(key)].sort());
    await shard.announced({ keys: [looked], fold: both.fold, ready: false }, { epoch: 'e', seq: 11 });
    const { folds } = await shard.readWithFolds('customer', [key], NOW);
    expect(folds.open).toEqual([bought(key)]);
  });

  it('ignores keys that belong to another shard', async () => {
    const stranger = Array.from({ length: 50 }, (_, index) => `c${index}`).find(
      (key) => shardOf('customer', key) !== SHARD,
    );
    const shard = env.FEATURE_SHARD.getByName(SHARD);
    const { keys } = await shard.fold(SHARD, 'customer', [purchaseOf(10, 'A', 0, stranger ?? '')]);
    expect(keys).toEqual([]);
  });

  it('answers for a key without events', async () => {
    const [row] = await env.FEATURE_SHARD.getByName(SHARD).read('customer', ['nobody'], NOW);
    expect(row?.['purchases_30d']).toEqual({ value: 0, status: 'NOT_FOUND', eventAt: null });
    expect(row?.['last_purchase_at']).toEqual({ value: null, status: 'NOT_FOUND', eventAt: null });
  });

  it('refuses calls beyond its limits', async () => {
    const shard = env.FEATURE_SHARD.getByName(SHARD);
    // Inside the object: a rejection that crosses the call is reported a second time by the test runtime.
    await runInDurableObject(shard, async (object) => {
      const keys = Array.from({ length: 101 }, String);
      await expect(object.read('customer', keys, NOW)).rejects.toThrow(/at most 100/);
    });
  });
});

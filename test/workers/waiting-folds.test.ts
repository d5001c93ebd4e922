import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { FOLD_ROWS, WAITED_FOLD } from '../../bench/cost/counted.ts';
import { CellStore } from '../../durable-objects/feature-shard/store.ts';
import { joinedFoldPorts } from '../../src/composition/folding.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { cellsOf, type FoldableEvent } from '../../src/features/fold.ts';
import { JoinedFolds } from '../../src/features/joined-folds.ts';
import { shardOf } from '../../src/features/shards.ts';
import { catalog } from '../support/catalog/index.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';
import { CountedEnv } from '../support/workers/counted-env.ts';
import { serveEntity, serveFeatures } from '../support/workers/serve-features.ts';

/**
 * What a request with `Prefer: wait` pays for the fold of its event, beside storing it: calls of objects by the bindings,
 * rows by the runtime's own counters. The stored event itself is one read of the database (round-trips.test.ts).
 */
const FEATURES = catalog.features.filter(({ entity }) => entity.name === 'customer');
const REQUESTS = 50;
const counted = new CountedEnv(env);
const kept: Promise<unknown>[] = [];
let folds: JoinedFolds<FoldableEvent>;
let seq = 0;

beforeAll(() => Promise.all([serveEntity('customer'), serveEntity('product')]));
beforeEach(() => {
  folds = new JoinedFolds({ items: 1_000, bytes: 1_000_000, gatherMs: 60_000, waitMs: 60_000 });
});

function purchase(customerId: string, sku: string) {
  seq += 1;
  const data = { invoice: 'W', sku, quantity: 1, unitPrice: 1, customerId, country: 'UK' };
  const shards = [shardOf('customer', customerId), shardOf('product', sku)];
  const event: FoldableEvent = { seq, type: 'shop.purchase.v1', occurredAt: Date.now(), data };
  return { event, shards };
}

/** Folds the event of one request, as `foldAtOnce` does after it has read it. */
function wait({ event }: ReturnType<typeof purchase>, read: Promise<void>): Promise<unknown> {
  const bound = new Isolate(catalog).of(counted.env);
  const keepAlive = (work: Promise<unknown>) => void kept.push(work);
  return folds.add([{ item: event, bytes: 100 }], {
    ...joinedFoldPorts(bound, keepAlive, () => undefined),
    read: async (events) => {
      await read;
      return events;
    },
    onTimeout: () => new Error('too late'),
  });
}

/** The calls since the last ones, without the syncs of the mirror, which follow the time. */
async function calls(): Promise<Record<string, number>> {
  await Promise.all(kept.splice(0));
  const { 'TAG_CLOCK.sync': _sync, ...taken } = counted.take();
  return taken;
}

it('one event alone: a call to each shard, one to the root clock, and one to tell each shard', async () => {
  await calls();
  await wait(purchase('alone', 'alone'), Promise.resolve());
  expect(await calls()).toEqual(WAITED_FOLD.alone);
});

it('fifty events that arrive during a fold share the next one, which tells the shards of the first', async () => {
  await calls();
  const { promise: read, resolve } = Promise.withResolvers<void>();
  const first = purchase('first', 'first');
  const answers = [wait(first, read)];
  const events = Array.from({ length: REQUESTS }, (_, index) => purchase(`c${index}`, `s${index}`));
  await Promise.resolve();
  answers.push(...events.map((event) => wait(event, read)));
  resolve();
  await Promise.all(answers);
  const shards = new Set(events.flatMap((event) => event.shards));
  // Every shard of the first is one of the second fold's, whose call tells it.
  expect(first.shards.every((shard) => shards.has(shard))).toBe(true);
  expect(await calls()).toEqual({
    'FEATURE_SHARD.fold': first.shards.length + shards.size,
    'TAG_CLOCK.invalidateTags': 2,
    'FEATURE_SHARD.announced': shards.size,
  });
  const ofAll = first.shards.length + 2 * shards.size + 2;
  expect(ofAll / (REQUESTS + 1)).toBeLessThanOrEqual(WAITED_FOLD.callsTogetherMax);
});

it('telling a shard touches no row, and the fold that the consumer repeats writes none', async () => {
  await runInDurableObject(env.FEATURE_SHARD.getByName('customer/waiting-rows'), (_, state) => {
    const { storage, counted: rowsOf } = countedRows(state);
    const store = new CellStore(storage);
    store.adopt(FEATURES);
    serveFeatures(store, FEATURES);
    const fold = ({ event }: ReturnType<typeof purchase>) =>
      rowsOf(() => store.fold([event], (of) => cellsOf(FEATURES, of)));
    fold(purchase('before', 'before'));
    const waited = purchase('rows', 'rows');
    const { ofRow, ofCall, ofPurchase } = FOLD_ROWS;
    const first = fold(waited);
    expect(first.written).toBe(ofPurchase.rows * ofRow.written + ofCall.written);
    expect(first.read).toBeLessThanOrEqual(ofPurchase.rows * ofRow.read + ofCall.read);
    const announcement = { keys: ['rows'], fold: store.newestFold, ready: false };
    const told = rowsOf(() => store.announce(announcement, { epoch: 'e', seq: 1 }));
    expect([told.read, told.written]).toEqual([0, 0]);
    const again = fold(waited);
    expect(again.written).toBe(0);
    expect(again.read).toBeLessThanOrEqual(WAITED_FOLD.rowsOfRepeat);
  });
});

function countedRows(state: DurableObjectState) {
  const storage = new CountedStorage(state.storage);
  return { storage: storage.storage, counted: <T>(work: () => T) => storage.counted(work) };
}

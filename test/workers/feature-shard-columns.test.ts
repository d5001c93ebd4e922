import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { CellStore } from '../../durable-objects/feature-shard/store.ts';
import { feature } from '../../src/define/feature.ts';
import { rowChangeType } from '../../src/define/row-change.ts';
import { cellsOf, type FoldableEvent } from '../../src/features/fold.ts';
import { readRow } from '../../src/features/read.ts';
import { customer } from '../support/catalog/entities.ts';
import { customers } from '../support/catalog/tables.ts';

/** Features over columns in the storage of a real object: the catalog of these tests has none. */
const country = feature.column({ name: 'country', entity: customer, column: customers.country });
const NOW = Date.now();

function change(seq: number, row: object | null, clockMs = 0): FoldableEvent {
  return {
    ...{ seq, type: rowChangeType(customer), occurredAt: NOW - 60_000 + clockMs },
    data: { key: 'k', row },
  };
}

/** Folds changes and reads, each time by a store that has nothing in memory. */
async function folded(name: string, events: readonly FoldableEvent[]) {
  return await runInDurableObject(env.FEATURE_SHARD.getByName(name), (_, { storage }) => {
    const store = new CellStore(storage);
    store.adopt([country], NOW);
    store.openBackfill('run');
    store.serve('run', ['country']);
    const fresh = store.fold(events, (event) => cellsOf([country], event));
    const [cells = []] = store.read(['k'], NOW);
    return { fresh, read: readRow([country], cells, NOW)['country'] };
  });
}

const change1 = change(1, { country: 'UK' });
const change2 = change(2, { country: 'FR' }, -5);
const change3 = change(3, null, 5);
const change4 = change(4, { country: 'DE' }, 1);

it('an object shows the last change of a row by its number, in whatever order they come, across evictions', async () => {
  const shard = 'customer/columns-1';
  expect((await folded(shard, [change2])).read).toMatchObject({ value: 'FR', status: 'PRESENT' });
  await evictDurableObject(env.FEATURE_SHARD.getByName(shard));
  // An earlier change that comes later, with a clock that was ahead, and the one that is there once more.
  expect(await folded(shard, [change1, change2])).toMatchObject({ fresh: 1, read: { value: 'FR' } });
  await evictDurableObject(env.FEATURE_SHARD.getByName(shard));
  expect((await folded(shard, [change4])).read).toMatchObject({ value: 'DE' });
  await evictDurableObject(env.FEATURE_SHARD.getByName(shard));
  // The deletion was before the row came back.
  expect(await folded(shard, [change3])).toMatchObject({ fresh: 1, read: { value: 'DE' } });
});

it('an object shows a row that is deleted as one without values, also after it began anew', async () => {
  const shard = 'customer/columns-2';
  await folded(shard, [change1, change2]);
  expect((await folded(shard, [change3])).read).toMatchObject({ value: null, status: 'NULL_VALUE' });
  await evictDurableObject(env.FEATURE_SHARD.getByName(shard));
  expect((await folded(shard, [])).read).toMatchObject({ value: null, status: 'NULL_VALUE' });
});

it('an object has the same cells without the changes that retention has deleted', async () => {
  const shard = (name: string) => `customer/columns-${name}`;
  const cells = async (name: string, events: readonly FoldableEvent[]) => {
    await folded(shard(name), events);
    return await runInDurableObject(env.FEATURE_SHARD.getByName(shard(name)), (_, { storage }) => {
      const store = new CellStore(storage);
      store.adopt([country], NOW);
      return { ...store.digest(), events: 0 };
    });
  };
  const ascending = change(3, null, -2);
  const all = [change1, change2, ascending, change4].map((event, at) => ({
    ...event,
    occurredAt: NOW - 9 + at,
  }));
  expect(await cells('3', all)).toEqual(await cells('4', all.slice(-1)));
});

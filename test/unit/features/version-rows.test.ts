import { expect, it } from 'vitest';
import { invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { newMirror } from '../../../src/cache/clock/mirror.ts';
import { hashesToInvalidate } from '../../../src/cache/entry.ts';
import { RowCache, type RowPorts, readRows } from '../../../src/features/row-cache.ts';

const NOW = Date.UTC(2026, 10, 23, 12, 7, 31);
const NAME = 'spent_7d@0123456789ab';
const FOLDS = { open: [], ready: false, fold: 0, at: [] };

it('keeps versions in rows of their own, until an event invalidates them or the shard’s moment has come', async () => {
  const clock = newClock('e');
  let reads = 0;
  const ports: RowPorts = {
    cache: new RowCache(1e6),
    follower: { begin: () => 1, ensure: async () => undefined, mirror: { ...newMirror(), clock } },
    context: {
      parent: { sync: () => Promise.reject(new Error('Nothing is synced.')) },
      keepAlive: () => undefined,
    },
    watch: () => ({
      shards: {
        read: async () => [{ spent_7d: { value: 2, status: 'PRESENT', eventAt: NOW } }],
        readVersions: async (_, __, keys, names) => {
          reads += 1;
          const value = { value: 1, status: 'PRESENT', eventAt: NOW, frozenAt: NOW } as const;
          const unknown = names.filter((name) => name !== NAME);
          return { rows: keys.map(() => ({ [NAME]: value })), folds: FOLDS, unknown, until: NOW + 60_000 };
        },
      },
      note: () => undefined,
      moment: async () => undefined,
    }),
    features: [],
    wasReplaced: async () => false,
  };
  const read = async (versions: readonly string[] | undefined, after = 0) => {
    const asked = { entity: 'customer', keys: ['k'], now: NOW + after, versions };
    return (await readRows(asked, { level: undefined, atLeast: undefined }, ports)).rows[0];
  };
  expect(await read([NAME])).toMatchObject({ [NAME]: { value: 1, frozenAt: NOW } });
  expect(await read(undefined)).toEqual({ spent_7d: { value: 2, status: 'PRESENT', eventAt: NOW } });
  await read([NAME], 59_999);
  expect(reads).toBe(1);
  await read([NAME], 60_000);
  expect(reads).toBe(2);
  await read([NAME]);
  invalidate(clock, hashesToInvalidate(['features:customer:k']));
  const before = reads;
  await read([NAME]);
  expect(reads).toBe(before + 1);
  await expect(read(['spent_7d@ffffffffffff'])).rejects.toMatchObject({ code: 'unknown_feature_version' });
});

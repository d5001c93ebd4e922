import { describe, expect, it } from 'vitest';
import { EndedEpochs } from '../../../src/cache/as-of.ts';
import type { FoldsShown } from '../../../src/features/open-folds.ts';
import { asOfMoment, laterMoment, SeenFolds, type SeenPorts } from '../../../src/features/seen-folds.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { Failure } from '../../../src/platform/failure.ts';

const EPOCH = 'e';
const at = (seq: number, epoch = EPOCH) => ({ epoch, seq });
const SILENT = { open: [], ready: false, fold: 1, at: [at(4)] };

function seeing(shown: readonly Partial<FoldsShown>[], change: Partial<SeenPorts> = {}) {
  const invalidated: string[][] = [];
  const told: unknown[] = [];
  const answers = [...shown];
  const seen = new SeenFolds({
    epoch: EPOCH,
    ended: new EndedEpochs(),
    currentEpoch: async () => EPOCH,
    invalidate: async (tags) => {
      invalidated.push([...tags]);
      return at(9);
    },
    withTimeout,
    keepAlive: () => undefined,
    shards: {
      read: async () => ({ rows: [{}], folds: { ...SILENT, ...answers.shift() } }),
      readVersions: async () => ({
        ...{ rows: [{}], unknown: [], until: 0, folds: { ...SILENT, ...answers.shift() } },
      }),
      announced: async (...of) => void told.push(of),
    },
    ...change,
  });
  const read = async (shard = 'customer/1') => await seen.shards.read(shard, 'customer', ['ada'], 0);
  return { seen, read, invalidated, told };
}

describe('the moment of what shards showed', () => {
  it('is undefined without a read, and that of the newest invalidation otherwise', async () => {
    const { seen, read, invalidated } = seeing([{}, { at: [at(6)] }, { at: [] }]);
    expect(await seen.moment()).toBeUndefined();
    for (const shard of ['customer/1', 'customer/2', 'customer/3']) await read(shard);
    expect([await seen.moment(), invalidated]).toEqual([at(6), []]);
  });

  it('is that of the reader’s own invalidation where a fold is open, and the shard is told', async () => {
    const { seen, read, invalidated, told } = seeing([{ open: ['ada'], fold: 3 }, { at: [at(6)] }]);
    await read();
    await read('customer/2');
    expect(await seen.moment()).toEqual(at(9));
    expect(invalidated).toEqual([['features:customer:ada']]);
    expect(told).toEqual([['customer/1', { keys: ['ada'], fold: 3, ready: false }, at(9)]]);
  });

  it('covers features that became ready', async () => {
    const { seen, read, invalidated, told } = seeing([{ ready: true, readyFeatures: ['visits'] }]);
    await read();
    await seen.moment();
    expect(invalidated).toEqual([['features-ready:customer', 'features-ready:customer:visits']]);
    expect(told).toMatchObject([['customer/1', { ready: true, readyFeatures: ['visits'] }, at(9)]]);
  });

  it('is unknown while the root clock does not answer, or has another epoch', async () => {
    const away = async () => {
      throw new Failure('clock_unavailable', 'The tag clock does not answer.');
    };
    const open = seeing([{ open: ['ada'] }], { invalidate: away });
    await open.read();
    expect(await open.seen.moment()).toBeNull();
    const other = seeing([{ at: [at(4), at(1, 'f')] }], { currentEpoch: async () => 'f' });
    await other.read();
    expect(await other.seen.moment()).toBeNull();
    const ended = seeing([{ at: [at(4), at(1, 'd')] }]);
    await ended.read();
    expect(await ended.seen.moment()).toEqual(at(4));
  });

  it('is no earlier than that of what the answer is made of', async () => {
    const { seen, read } = seeing([{}]);
    seen.note(at(7));
    await read();
    expect(await seen.moment()).toEqual(at(7));
    seen.note(null);
    expect(await seen.moment()).toBeNull();
  });
});

describe('an answer', () => {
  const loaded = { value: 1, tags: [], storable: true };

  it('is as of the later moment, and not stored where that is not known', () => {
    expect(asOfMoment(loaded, undefined)).toBe(loaded);
    expect(asOfMoment({ ...loaded, asOf: at(3) }, at(2)).asOf).toEqual(at(3));
    expect(asOfMoment({ ...loaded, asOf: at(3) }, null)).toMatchObject({ asOf: null, storable: false });
    expect(laterMoment(at(3), at(2, 'f'))).toBeNull();
  });
});

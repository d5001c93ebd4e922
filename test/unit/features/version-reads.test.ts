import { expect, it } from 'vitest';
import { KnownMoves, ShardMoved, shardOf } from '../../../src/features/layout.ts';
import { readVersions, type WasReplaced } from '../../../src/features/version-reads.ts';

const NAME = 'spent_7d@0123456789ab';
const KEYS = Array.from({ length: 40 }, (_, at) => `k${at}`);

/** Reads a version that the entity's shards do not keep. @returns the look-ups that it took. */
async function read(shards: number, wasReplaced: WasReplaced) {
  const asked: unknown[] = [];
  const first = KEYS.map((key) => shardOf('customer', key));
  const reading = readVersions('customer', KEYS, [NAME], 0, {
    shards: {
      moves: new KnownMoves(),
      readVersions: async (shard, _, keys, names) => {
        if (first.includes(shard) && shards > 8) throw new ShardMoved('moved', shards);
        const folds = { open: [], ready: false, fold: 0, at: [] };
        return { rows: keys.map(() => ({})), folds, unknown: names, until: 0 };
      },
    },
    wasReplaced: async (...version) => {
      asked.push(version);
      return await wasReplaced(...version);
    },
  });
  const refusal: unknown = await reading.catch((error: unknown) => error);
  return { refusal, asked };
}

it('says of a version that a release had that it is gone, by one look-up for all shards', async () => {
  const { refusal, asked } = await read(8, async () => true);
  expect(refusal).toMatchObject({
    code: 'feature_version_gone',
    message: expect.stringContaining('7 days after'),
  });
  expect(asked).toEqual([['customer', { readName: 'spent_7d', digits: '0123456789ab' }]]);
});

it('says that more shards of the entity may be the cause', async () => {
  const { refusal } = await read(16, async () => true);
  expect(refusal).toMatchObject({
    code: 'feature_version_gone',
    message: expect.stringContaining('got 16 shards'),
  });
});

it.each<readonly [string, WasReplaced]>([
  ['that no release had', async () => false],
  [
    'of which the database does not say whether a release had it',
    () => Promise.reject(new Error('The database is away.')),
  ],
])('says that it does not know a version %s', async (_, wasReplaced) => {
  expect((await read(16, wasReplaced)).refusal).toMatchObject({ code: 'unknown_feature_version' });
});

it('passes on a failure of a shard, and looks nothing up', async () => {
  const asked: string[] = [];
  const reading = readVersions('customer', ['k'], [NAME], 0, {
    shards: {
      moves: new KnownMoves(),
      readVersions: async () => {
        throw new Error('The shard is away.');
      },
    },
    wasReplaced: async (entity) => {
      asked.push(entity);
      return true;
    },
  });
  await expect(reading).rejects.toThrow('The shard is away.');
  expect(asked).toEqual([]);
});

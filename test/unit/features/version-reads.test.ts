import { expect, it } from 'vitest';
import { KnownMoves, ShardMoved, shardOf } from '../../../src/features/layout.ts';
import { readVersions } from '../../../src/features/version-reads.ts';

const NAME = 'spent_7d@0123456789ab';

/** Reads a replaced version that the entity's shards do not keep. */
function read(shards: number) {
  return readVersions('customer', ['k'], [NAME], 0, {
    moves: new KnownMoves(),
    readVersions: async (shard, _, keys, names) => {
      if (shard === shardOf('customer', 'k') && shards > 8) throw new ShardMoved('moved', shards);
      const folds = { open: [], ready: false, fold: 0, at: [] };
      return { rows: keys.map(() => ({})), folds, unknown: names, until: 0 };
    },
  });
}

it('says why a replaced version is not kept after an entity has got more shards', async () => {
  const refusal = { code: 'unknown_feature_version' };
  await expect(read(16)).rejects.toMatchObject({ ...refusal, message: expect.stringContaining('16 shards') });
  await expect(read(8)).rejects.toMatchObject({ ...refusal, message: expect.not.stringContaining('shards') });
});

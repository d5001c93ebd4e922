import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  askEveryShard,
  countOf,
  KnownMoves,
  moveIn,
  SHARDS_MAX,
  SHARDS_PER_ENTITY,
  ShardMoved,
  shardOf,
  shardsOf,
} from '../../../src/features/layout.ts';

const entity = fc.constantFrom('station', 'a/b', 'x of 3');
const count = fc.integer({ min: SHARDS_PER_ENTITY, max: SHARDS_MAX });

describe('the name of a shard', () => {
  it('is that of objects which were made before there were layouts', () => {
    expect([shardOf('station', '3'), shardsOf('station').at(-1)]).toEqual(['station/2', 'station/7']);
  });

  it('says its layout, and two layouts have no name in common', () => {
    fc.assert(
      fc.property(entity, fc.string(), count, count, (name, key, a, b) => {
        expect(shardsOf(name, a)).toContain(shardOf(name, key, a));
        expect(countOf(shardOf(name, key, a))).toBe(a);
        if (a !== b) expect(shardsOf(name, b)).not.toContain(shardOf(name, key, a));
      }),
    );
  });
});

describe('what is known of moves', () => {
  it('leads from the first layout to the last one that was named, whatever the order', () => {
    fc.assert(
      fc.property(fc.string(), fc.uniqueArray(count, { minLength: 1, maxLength: 5 }), (key, counts) => {
        const chain = [
          SHARDS_PER_ENTITY,
          ...counts.filter((one) => one > SHARDS_PER_ENTITY).sort((a, b) => a - b),
        ];
        const moves = new KnownMoves();
        for (const [at, from] of chain.slice(0, -1).entries())
          moves.note(shardOf('station', key, from), { state: 'moved', shards: chain[at + 1] ?? 0 });
        expect(moves.shardOf('station', key)).toBe(shardOf('station', key, chain.at(-1)));
      }),
    );
  });

  it('has no move to as many or fewer shards, which callers would follow for ever', () => {
    const moves = new KnownMoves();
    expect(() => moves.note('station/1of16', { state: 'moved', shards: 16 })).toThrow(RangeError);
    expect(() => moves.note('station/1', { state: 'copied', shards: 4 })).toThrow(RangeError);
  });

  it('forgets that a shard is copied once it has moved', () => {
    const moves = new KnownMoves();
    moves.note('station/1', { state: 'copied', shards: 16 });
    expect(moves.copiedTo('station/1')).toBe(16);
    moves.note('station/1', { state: 'moved', shards: 16 });
    expect(moves.copiedTo('station/1')).toBeUndefined();
  });
});

describe('the answer of a shard that has moved', () => {
  it('is read from an error that has lost its class, and from no other', () => {
    const lost = Object.assign(new Error('The keys are elsewhere.'), {
      ...{ name: 'ShardMoved', state: 'moved', shards: 16, remote: true },
    });
    expect(moveIn(lost)).toEqual({ state: 'moved', shards: 16 });
    for (const other of [
      new Error('moved'),
      { name: 'ShardMoved' },
      undefined,
      Object.assign(new Error(''), { name: 'ShardMoved' }),
    ])
      expect(moveIn(other)).toBeUndefined();
  });

  it('leads a question to all shards of the layout that has the keys, and another error ends it', async () => {
    const asked = await askEveryShard('station', async (shard) => {
      if (shard === 'station/3') throw new ShardMoved('moved', 16);
      return shard;
    });
    expect(asked).toEqual(shardsOf('station', 16));
    const failing = askEveryShard('station', () => Promise.reject(new Error('gone')));
    await expect(failing).rejects.toThrow('gone');
  });
});

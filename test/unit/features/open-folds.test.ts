import { describe, expect, it } from 'vitest';
import { tagHash } from '../../../src/cache/clock/tag-hash.ts';
import { partOf } from '../../../src/features/groups.ts';
import { OPEN_KEYS_MAX, OpenFolds, READY } from '../../../src/features/open-folds.ts';

const at = (seq: number, epoch = 'e') => ({ epoch, seq });

describe('the folds of a shard', () => {
  it('are open until their invalidation is announced', () => {
    const folds = OpenFolds.read(null);
    folds.open(['ada', 'bob']);
    expect(folds.shown(['ada', 'eve'], [])).toEqual({ open: ['ada'], ready: false, fold: 1, at: [] });
    folds.announce({ keys: ['ada'], fold: 1, ready: false }, at(7));
    expect(folds.shown(['ada', 'bob'], [])).toEqual({ open: ['bob'], ready: false, fold: 1, at: [at(7)] });
  });

  it('stay open where an announcement is of an earlier fold', () => {
    const folds = OpenFolds.read(null);
    folds.open(['ada']);
    folds.open(['ada']);
    folds.announce({ keys: ['ada'], fold: 1, ready: false }, at(7));
    expect(folds.shown(['ada'], []).open).toEqual(['ada']);
    folds.announce({ keys: ['ada'], fold: 2, ready: false }, at(8));
    expect(folds.shown(['ada'], [])).toMatchObject({ open: [], at: [at(8)] });
  });

  it('are open again after an eviction, with the moments that were known at the last fold', () => {
    const folds = OpenFolds.read(null);
    folds.open(['ada']);
    folds.announce({ keys: ['ada'], fold: 1, ready: false }, at(3));
    folds.open(['bob']);
    const text = folds.toText();
    folds.announce({ keys: ['bob'], fold: 2, ready: false }, at(4));
    const again = OpenFolds.read(text);
    expect(again.shown(['ada', 'bob'], [])).toEqual({ open: ['bob'], ready: false, fold: 2, at: [at(3)] });
    again.open(['ada']);
    // An announcement that was sent before the eviction covers no later fold.
    again.announce({ keys: ['ada', 'bob'], fold: 2, ready: false }, at(5));
    expect(again.shown(['ada', 'bob'], [])).toMatchObject({ open: ['ada'], fold: 3, at: [at(5)] });
  });

  it('keep the greatest moment of each of the last epochs, whatever order announcements come in', () => {
    const folds = OpenFolds.read(null);
    for (const moment of [at(9, 'a'), at(2, 'b'), at(4, 'a'), at(1, 'b')]) folds.announce(READY, moment);
    expect(folds.shown([], []).at).toEqual([at(9, 'a'), at(2, 'b')]);
    for (const epoch of ['c', 'd', 'f']) folds.announce(READY, at(1, epoch));
    expect(folds.shown([], []).at.map(({ epoch }) => epoch)).toEqual(['b', 'c', 'd', 'f']);
  });

  it('say that features became ready until that is announced', () => {
    const folds = OpenFolds.read(null);
    folds.openReady(['visits']);
    expect(OpenFolds.read(folds.toText()).shown([], []).ready).toBe(true);
    folds.announce({ keys: [], fold: 0, ready: false }, at(1));
    expect(folds.shown([], []).ready).toBe(true);
    folds.announce(READY, at(2));
    expect(folds.shown([], []).ready).toBe(false);
  });

  it('are written with an announcement that an eviction would undo, and with no other', () => {
    const folds = OpenFolds.read(null);
    folds.open(['ada', 'bob']);
    expect(folds.announce({ keys: ['ada'], fold: 1, ready: false }, at(1))).toBe(false);
    folds.openReady(['visits']);
    expect(folds.announce(READY, at(2))).toBe(true);
    expect(folds.announce(READY, at(3))).toBe(false);
    const again = OpenFolds.read(folds.toText());
    expect(again.announce({ keys: ['eve'], fold: 1, ready: false }, at(4))).toBe(false);
    expect(again.announce({ keys: ['bob'], fold: 1, ready: false }, at(5))).toBe(true);
    again.open(['bob']);
    expect(again.announce({ keys: ['bob'], fold: 2, ready: false }, at(6))).toBe(false);
  });

  it('are those of the parts of a key, beside the key itself', () => {
    const folds = OpenFolds.read(null);
    const open = () => folds.shown(['ada', 'bob'], ['bought', 'seen']).open;
    folds.open([partOf('bought', 'ada'), partOf('seen', 'bob'), 'bob']);
    expect(open()).toEqual(['bought:ada', 'bob', 'seen:bob']);
    folds.announce({ keys: ['bought:ada', 'bob'], fold: 1, ready: false }, at(1));
    expect(open()).toEqual(['seen:bob']);
  });

  it('say which features became ready, and that others have while one is announced', () => {
    const folds = OpenFolds.read(null);
    folds.openReady(['visits', 'paid']);
    expect(folds.shown([], [])).toMatchObject({ ready: true, readyFeatures: ['visits', 'paid'] });
    expect(folds.announce({ ...READY, readyFeatures: ['visits'] }, at(1))).toBe(true);
    expect(OpenFolds.read(folds.toText(), ['other']).shown([], [])).toMatchObject({
      ...{ ready: true, readyFeatures: ['paid'] },
    });
    expect(folds.announce({ ...READY, readyFeatures: ['visits'] }, at(2))).toBe(false);
    folds.announce({ ...READY, readyFeatures: ['paid'] }, at(3));
    expect(folds.shown([], []).ready).toBe(false);
  });

  it('are read from the text of the release before as whole keys and all features', () => {
    const written = { fold: 4, ready: true, at: [], keys: [tagHash('ada')] };
    const folds = OpenFolds.read(JSON.stringify(written), ['visits', 'paid']);
    expect(folds.shown(['ada', 'bob'], ['bought'])).toEqual({
      ...{ open: ['ada'], ready: true, readyFeatures: ['visits', 'paid'], fold: 4, at: [] },
    });
  });

  it('are refused beyond the limit, as an outage, and fit a value of SQLite', () => {
    const folds = OpenFolds.read(null);
    folds.open(Array.from({ length: OPEN_KEYS_MAX - 10 }, (_, key) => `customer ${key}`));
    expect(folds.toText().length).toBeLessThan(1_500_000);
    expect(() => folds.open(Array.from({ length: 100 }, (_, key) => `other ${key}`))).toThrow(
      expect.objectContaining({ retryable: true }),
    );
  });
});

import { expect, it } from 'vitest';
import type { FoldableEvent } from '../../../src/features/fold.ts';
import { FOLD_EVENTS_MAX, foldAndInvalidate, foldEvents } from '../../../src/features/shards.ts';
import { catalog } from '../../support/catalog/index.ts';

it('folds more events of one shard than a call may have in several calls, in their order', async () => {
  const [type, definition] = [...catalog.eventTypes].find(([, { example }]) => example !== undefined) ?? [];
  if (type === undefined || definition === undefined) throw new Error('The fixture catalog has no example.');
  const count = 2 * FOLD_EVENTS_MAX + 1;
  const events = Array.from({ length: count }, (_, at): FoldableEvent => {
    return { seq: at + 1, type, occurredAt: Date.UTC(2026, 10, 1), data: definition.example };
  });
  const calls = new Map<string, FoldableEvent[][]>();
  await foldEvents(catalog.features, events, {
    fold: async (shard, _entity, own) => {
      calls.set(shard, [...(calls.get(shard) ?? []), [...own]]);
      return { keys: [], fold: 1 };
    },
  });
  expect(calls.size).toBeGreaterThan(0);
  for (const own of calls.values()) {
    expect(own.map(({ length }) => length)).toEqual([FOLD_EVENTS_MAX, FOLD_EVENTS_MAX, 1]);
    expect(own.flat()).toEqual(events);
  }
});

it('tells an event that no feature counts from one whose fold others have invalidated', async () => {
  const invalidated: string[][] = [];
  const momentOf = (keys: readonly string[], shards: readonly string[]) => {
    const announcement = { keys, fold: 1, ready: false };
    const tags = keys.map((key) => `features:customer:${key}`);
    return foldAndInvalidate([], {
      fold: async () => ({ tags, parts: shards.map((shard) => ({ shard, announcement })) }),
      invalidate: async (asked) => {
        invalidated.push([...asked]);
        return { epoch: 'e', seq: 7 };
      },
      announced: async () => undefined,
      keepAlive: () => undefined,
    });
  };
  expect(await momentOf([], [])).toBeUndefined();
  // At which moment is not known: a token for the event needs a later one.
  expect(await momentOf([], ['customer/1'])).toBeNull();
  expect(await momentOf(['c1'], ['customer/1'])).toEqual({ epoch: 'e', seq: 7 });
  expect(invalidated).toEqual([['features:customer:c1']]);
});

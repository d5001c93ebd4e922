import { expect, it } from 'vitest';
import type { FoldableEvent } from '../../../src/features/fold.ts';
import { JoinedFolds } from '../../../src/features/joined-folds.ts';
import type { Folded, Untold } from '../../../src/features/shards.ts';

const time = { now: () => 0, withTimeout: async <T>(work: Promise<T>) => await work };
const limits = { items: 10, bytes: 1_000, gatherMs: 100, waitMs: 1_000 };
const at = (seq: number) => ({ epoch: 'e', seq });

/** Folds whose steps the test ends. Each event counts for the key and the shard of its type. */
function world() {
  const folds = new JoinedFolds<FoldableEvent>(limits, time);
  const log: string[] = [];
  const gates: (() => void)[] = [];
  let seq = 0;
  const folded = (events: readonly FoldableEvent[]): Folded => {
    const keys = [...new Set(events.map(({ type }) => type))];
    const parts = keys.map((key) => ({ shard: key, announcement: { keys: [key], fold: 1, ready: false } }));
    return { tags: keys, parts };
  };
  const add = (type: string) =>
    folds.add([{ item: { seq: 1, type, occurredAt: 0, data: null }, bytes: 1 }], {
      read: async (events) => events,
      fold: async (events, untold: Untold) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        gates.push(resolve);
        const told = events.flatMap(({ type: shard }) => {
          const known = untold.get(shard) ?? [];
          untold.delete(shard);
          return known.map((one) => `${shard}@${one.at.seq}`);
        });
        log.push(`fold ${events.map((event) => event.type)}${told.length === 0 ? '' : `, tells ${told}`}`);
        await promise;
        return folded(events);
      },
      invalidate: async (tags) => {
        seq += 1;
        log.push(`invalidate ${tags}`);
        return at(seq);
      },
      announced: async (shard, _, moment) => void log.push(`tell ${shard}@${moment.seq}`),
      keepAlive: () => undefined,
      onTimeout: () => new Error('too late'),
    });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  const end = async () => {
    gates.shift()?.();
    await settle();
  };
  return { add, log, settle, end };
}

it('folds at once without another fold, and then tells each shard by a call', async () => {
  const { add, log, settle, end } = world();
  const one = add('a');
  await settle();
  await end();
  expect(await one).toEqual(at(1));
  expect(log).toEqual(['fold a', 'invalidate a', 'tell a@1']);
});

it('joins what arrives during a fold, and tells its shards with the next fold or by a call', async () => {
  const { add, log, settle, end } = world();
  const answers = [add('a')];
  await settle();
  answers.push(add('a'), add('b'));
  await end();
  answers.push(add('c'));
  await settle();
  await end();
  await end();
  expect(await Promise.all(answers)).toEqual([at(1), at(2), at(2), at(3)]);
  expect(log).toEqual([
    ...['fold a', 'invalidate a', 'fold a,b, tells a@1'],
    ...['invalidate a,b', 'fold c', 'tell a@2', 'tell b@2', 'invalidate c', 'tell c@3'],
  ]);
});

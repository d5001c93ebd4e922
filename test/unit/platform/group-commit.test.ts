import { expect, it } from 'vitest';
import { GroupCommit } from '../../../src/platform/group-commit.ts';

const one = (item: number, bytes = 10) => [{ item, bytes }];
const timeout = () => new Error('too late');

/** Commits that end when the test says so. */
function gated(waitMs = 5_000, gatherMs = 5_000) {
  const groups = new GroupCommit<number>({ items: 4, bytes: 100, gatherMs, waitMs });
  const started: { items: readonly number[]; end: PromiseWithResolvers<void> }[] = [];
  const kept: Promise<unknown>[] = [];
  const committer = {
    commit: async (items: readonly number[]) => {
      const end = Promise.withResolvers<void>();
      started.push({ items, end });
      await end.promise;
    },
    keepAlive: (work: Promise<unknown>) => void kept.push(work),
    onTimeout: timeout,
  };
  const add = (item: number, bytes?: number) => groups.add(one(item, bytes), committer);
  return { add, started, kept };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('commits a first request at once, and those that arrive meanwhile together', async () => {
  const { add, started, kept } = gated();
  const first = add(1);
  await turn();
  const others = [add(2), add(3), add(4)];
  await turn();
  expect(started.map(({ items }) => items)).toEqual([[1]]);
  started[0]?.end.resolve();
  await first;
  await turn();
  expect(started.map(({ items }) => items)).toEqual([[1], [2, 3, 4]]);
  let answered = false;
  const all = Promise.all(others).then(() => {
    answered = true;
  });
  await turn();
  expect(answered).toBe(false);
  started[1]?.end.resolve();
  await all;
  expect(kept).toHaveLength(2);
});

it('bounds a group by items and by bytes', async () => {
  const { add, started } = gated();
  const first = add(0);
  await turn();
  const rest = [1, 2, 3, 4, 5].map((item) => add(item));
  const large = [add(6, 60), add(7, 60)];
  const all = Promise.all([first, ...rest, ...large]);
  let ended = 0;
  while (ended < 4) {
    await turn();
    for (; ended < started.length; ended += 1) started[ended]?.end.resolve();
  }
  await all;
  expect(started.map(({ items }) => items)).toEqual([[0], [1, 2, 3, 4], [5, 6], [7]]);
});

it('fails only the requests of the group that failed', async () => {
  const { add, started } = gated();
  const first = add(1);
  await turn();
  const second = add(2);
  started[0]?.end.reject(new Error('refused'));
  await expect(first).rejects.toThrow('refused');
  await turn();
  started[1]?.end.resolve();
  await second;
});

it('goes on after a group whose request was stopped', async () => {
  const { add, started } = gated(200, 20);
  const dead = add(1);
  await turn();
  const next = add(2);
  await expect(dead).rejects.toThrow('too late');
  expect(started.map(({ items }) => items)).toEqual([[1], [2]]);
  started[1]?.end.resolve();
  await next.catch(() => undefined);
  const later = add(3);
  await turn();
  expect(started).toHaveLength(3);
  started[2]?.end.resolve();
  await later;
});

it('has each key once in a group, and returns the result of the group to each of its requests', async () => {
  const groups = new GroupCommit<string, string>({ items: 10, bytes: 100, gatherMs: 5_000, waitMs: 5_000 });
  const committer = {
    commit: async (items: readonly string[]) => items.join('+'),
    keepAlive: () => undefined,
    onTimeout: timeout,
  };
  const add = (item: string, key: string) => groups.add([{ item, bytes: 1, keys: [key] }], committer);
  const results = [add('a', 'x'), add('b', 'y'), add('c', 'x'), add('d', 'z')];
  expect(await Promise.all(results)).toEqual(['a+b', 'a+b', 'c+d', 'c+d']);
});

it('gathers for half as long as the last commit took, within its bounds', async () => {
  let now = 0;
  const waits: number[] = [];
  const time = {
    now: () => now,
    // Time to gather is over at once, and is noted.
    withTimeout: async <T>(work: Promise<T>, ms: number) => {
      if (ms === 9_999) return await work;
      waits.push(ms);
      throw new Error('over');
    },
  };
  const limits = { items: 4, bytes: 100, gatherMs: 25, gatherMsMax: 250, waitMs: 9_999 };
  const groups = new GroupCommit<number>(limits, time);
  for (const tookMs of [10, 120, 4_000, 10]) {
    const gate = Promise.withResolvers<void>();
    const commit = (items: readonly number[]) => (items[0] === 0 ? gate.promise : Promise.resolve());
    const committer = { commit, keepAlive: () => undefined, onTimeout: timeout };
    const slow = groups.add(one(0), committer);
    await turn();
    now += tookMs;
    gate.resolve();
    // The next group begins while the slow one is the last that has ended, and the one after it sees how long that took.
    await slow;
    const open = Promise.withResolvers<void>();
    const held = groups.add(one(1), { ...committer, commit: () => open.promise });
    await turn();
    const next = groups.add(one(2), committer);
    await next;
    open.resolve();
    await held;
    await turn();
  }
  expect(waits).toEqual([25, 60, 250, 25]);
});

import { expect, it } from 'vitest';
import { PASS_CHANGES_MAX, type RelayPorts, Sweeper } from '../../../src/pipeline/relay.ts';
import { Failure } from '../../../src/platform/failure.ts';
import type { Lane } from '../../../src/storage/lane.ts';
import type { PendingChange } from '../../../src/storage/postgres/outbox.ts';

/**
 * An outbox whose passes end when the test says so; `closed` are the heartbeats that were told to the clock. A page has
 * at most `bears` changes, as one that is bounded by bytes.
 */
function world({
  bears = Number.POSITIVE_INFINITY,
  publish = async () => undefined,
}: {
  readonly bears?: number;
  readonly publish?: RelayPorts['publish'];
} = {}) {
  let committed = 0;
  let seq = 0;
  const pending: PendingChange[] = [];
  const passes: { read: number; upTo: number | undefined; finish: (error?: Error) => void }[] = [];
  const closed: number[] = [];
  let opened = 0;
  const relay: RelayPorts = {
    readPending: async ({ limit, upTo }) => {
      const lanes = (a: PendingChange, b: PendingChange) => (a.lane < b.lane ? 1 : a.lane > b.lane ? -1 : 0);
      const wanted =
        upTo === undefined ? pending.toSorted(lanes) : pending.filter(({ outboxId }) => outboxId <= upTo);
      const found = wanted.slice(0, Math.min(limit, bears));
      const newestId = pending.at(-1)?.outboxId;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      passes.push({
        read: found.length,
        upTo,
        finish: (error) => (error === undefined ? resolve() : reject(error)),
      });
      await promise;
      return { changes: found, isFull: found.length < wanted.length, newestId };
    },
    invalidate: async () => {
      seq += 1;
      return { epoch: 'e', seq };
    },
    publish,
    markRelayed: async (ids) => {
      const marked = new Set(ids);
      pending.splice(0, pending.length, ...pending.filter(({ outboxId }) => !marked.has(outboxId)));
    },
  };
  const sweeper = new Sweeper({
    isRefused: (error) => error instanceof Error && error.message === 'refused',
    relay: () => relay,
    openPass: async () => {
      opened += 1;
      const number = opened;
      return async () => void closed.push(number);
    },
  });
  const commit = (count = 1, lane: Lane = 'live') => {
    for (let n = 0; n < count; n += 1) {
      committed += 1;
      pending.push({ outboxId: committed, lane, tags: ['t'], event: null });
    }
  };
  return { sweeper, passes, closed, commit };
}

/** Lets everything happen that waits for nothing outside. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

it('ends a heartbeat even if others arrive during every pass', async () => {
  const { sweeper, passes, closed } = world();
  void sweeper.heartbeat();
  await settle();
  for (let beat = 2; beat <= 10; beat += 1) {
    void sweeper.heartbeat();
    await settle();
    passes.at(-1)?.finish();
    await settle();
    // Each pass that ends tells of the heartbeats that came before it began, and of no later one.
    expect(closed).toEqual(Array.from({ length: beat - 1 }, (_, index) => index + 1));
  }
});

it('reads again for commits after the read of the running sweep', async () => {
  const { sweeper, passes, commit } = world();
  const first = sweeper.sweep();
  await settle();
  commit();
  const second = sweeper.sweep();
  const third = sweeper.sweep();
  await settle();
  expect(passes).toHaveLength(1);
  passes[0]?.finish();
  expect(await first).toBe(0);
  await settle();
  expect(passes.map(({ read }) => read)).toEqual([0, 1]);
  passes[1]?.finish();
  expect(await second).toBe(1);
  expect(await third).toBe(1);
  expect(passes).toHaveLength(2);
});

it('sweeps until a pass is not full', async () => {
  const { sweeper, passes, commit } = world();
  commit(PASS_CHANGES_MAX + 1);
  const sweeping = sweeper.sweep();
  await settle();
  passes[0]?.finish();
  await settle();
  passes[1]?.finish();
  expect(await sweeping).toBe(PASS_CHANGES_MAX + 1);
});

it('reports a failure to the callers of that sweep, and to no later ones', async () => {
  const { sweeper, passes, closed } = world();
  const failing = sweeper.heartbeat();
  const failed = expect(failing).rejects.toThrow('away');
  await settle();
  const next = sweeper.heartbeat();
  await settle();
  passes[0]?.finish(new Error('away'));
  await failed;
  await settle();
  expect(closed).toEqual([]);
  passes[1]?.finish();
  await next;
  expect(closed).toEqual([2]);
});

it('reads fewer changes after a pass that failed, and more again after full passes', async () => {
  const { sweeper, passes, commit } = world();
  commit(PASS_CHANGES_MAX);
  const read: number[] = [];
  const sweepUntil = async (limit: number) => {
    const sweeping = sweeper.sweep().then(
      () => true,
      () => false,
    );
    for (;;) {
      await settle();
      const pass = passes.shift();
      if (pass === undefined) return await sweeping;
      read.push(pass.read);
      pass.finish(pass.read > limit ? new Error('too long') : undefined);
    }
  };
  expect(await sweepUntil(300)).toBe(false);
  expect(await sweepUntil(300)).toBe(false);
  expect(read).toEqual([2_000, 500]);
  // 125 and 250 are borne, 500 is not; then 125 again, until all is relayed.
  while (!(await sweepUntil(300)));
  expect(Math.max(...read.slice(1))).toBe(500);
  expect(read.filter((count) => count <= 300).reduce((sum, count) => sum + count, 0)).toBe(PASS_CHANGES_MAX);
  commit(PASS_CHANGES_MAX);
  expect(await sweepUntil(PASS_CHANGES_MAX)).toBe(true);
});

it('does not read fewer changes after the database refused a statement', async () => {
  const { sweeper, passes, commit } = world();
  commit(PASS_CHANGES_MAX);
  const failing = sweeper.sweep();
  await settle();
  passes[0]?.finish(new Error('refused'));
  await expect(failing).rejects.toThrow('refused');
  void sweeper.sweep();
  await settle();
  expect(passes[1]?.read).toBe(PASS_CHANGES_MAX);
});

it('does not read fewer changes after the queue was away', async () => {
  const publish = async () => {
    throw new Failure('queue_unavailable', 'away');
  };
  const { sweeper, passes, commit } = world({ publish });
  commit(PASS_CHANGES_MAX);
  for (let sweep = 0; sweep < 3; sweep += 1) {
    const failing = expect(sweeper.sweep()).rejects.toThrow('away');
    await settle();
    passes[sweep]?.finish();
    await failing;
    expect(passes[sweep]?.read).toBe(PASS_CHANGES_MAX);
  }
});

it('ends the wait for a live change with the pass that relays it, even if bulk changes are pending', async () => {
  const { sweeper, passes, commit } = world();
  commit(5 * PASS_CHANGES_MAX, 'bulk');
  const sweeping = sweeper.sweep();
  await settle();
  commit();
  let isRelayed = false;
  const relaying = sweeper.sweepLive().then(() => {
    isRelayed = true;
  });
  await settle();
  // This pass read the outbox before the commit.
  passes[0]?.finish();
  await settle();
  expect(isRelayed).toBe(false);
  passes[1]?.finish();
  await settle();
  expect(isRelayed).toBe(true);
  for (let pass = 2; pass < 7; pass += 1) {
    passes[pass]?.finish();
    await settle();
  }
  await Promise.all([relaying, sweeping]);
});

it('ends the wait for a live change only after a pass that was not full of live changes', async () => {
  const { sweeper, passes, commit } = world();
  commit(PASS_CHANGES_MAX + 1);
  let isRelayed = false;
  const relaying = sweeper.sweepLive().then(() => {
    isRelayed = true;
  });
  await settle();
  passes[0]?.finish();
  await settle();
  expect(isRelayed).toBe(false);
  passes[1]?.finish();
  await relaying;
});

it('answers a live caller with the moment of the invalidation, and does not wait for the queue', async () => {
  const queue = Promise.withResolvers<undefined>();
  const { sweeper, passes, commit } = world({ publish: () => queue.promise });
  commit();
  const first = sweeper.sweepLive();
  await settle();
  passes[0]?.finish();
  expect(await first).toEqual({ epoch: 'e', seq: 1 });
  const second = sweeper.sweepLive();
  queue.resolve(undefined);
  await settle();
  passes[1]?.finish();
  // Nothing was pending: the change of the caller was in an earlier pass.
  expect(await second).toEqual({ epoch: 'e', seq: 1 });
});

it('knows no moment before its first invalidation', async () => {
  const { sweeper, passes } = world();
  const only = sweeper.sweepLive();
  await settle();
  passes[0]?.finish();
  expect(await only).toBeUndefined();
});

it('reports a failure to the callers of a live sweep, unless a later sweep serves them', async () => {
  const { sweeper, passes, commit } = world();
  commit();
  const failing = expect(sweeper.sweepLive()).rejects.toThrow('away');
  await settle();
  const later = sweeper.sweepLive();
  passes[0]?.finish(new Error('away'));
  await failing;
  await settle();
  passes[1]?.finish();
  await later;
});

it('ends a sweep although others commit more than a pass reads, of either lane', async () => {
  for (const lane of ['live', 'bulk'] as const) {
    const { sweeper, passes, closed, commit } = world();
    commit(2 * PASS_CHANGES_MAX + 1, 'bulk');
    void sweeper.heartbeat();
    await settle();
    let ended = 0;
    while (closed.length === 0 && ended < 20) {
      commit(2 * PASS_CHANGES_MAX, lane);
      passes[ended]?.finish();
      ended += 1;
      await settle();
    }
    expect(closed).toEqual([1]);
    // Where live changes fill a pass, the next one takes the oldest of both lanes, up to the newest that the first saw.
    const bounded = passes.slice(0, ended).filter(({ upTo }) => upTo !== undefined);
    expect(bounded.length > 0).toBe(lane === 'live');
    for (const { upTo } of bounded) expect(upTo).toBe(2 * PASS_CHANGES_MAX + 1);
    expect(ended).toBeLessThanOrEqual(6);
  }
});

it('relays everything in pages of limited bytes, and reads fewer rows when fewer fit', async () => {
  const { sweeper, passes, commit } = world({ bears: 100 });
  commit(1_000);
  const sweeping = sweeper.sweep();
  for (let pass = 0; pass < 10; pass += 1) {
    await settle();
    passes[pass]?.finish();
  }
  expect(await sweeping).toBe(1_000);
  expect(passes.map(({ read }) => read)).toEqual(Array.from({ length: 10 }, () => 100));
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PASS_CHANGES_MAX, type RelayPorts, relayPass } from '../../../src/pipeline/relay.ts';
import type { PendingChange } from '../../../src/storage/postgres/outbox.ts';

/** An outbox, a clock and a queue that may each fail at any step. */
function world(changes: number, failsAt: (step: number) => boolean) {
  const pending = new Map<number, PendingChange>(
    Array.from({ length: changes }, (_, id) => [
      id,
      { outboxId: id, lane: id % 2 === 0 ? 'live' : 'bulk', tags: [`t:${id}`], event: null },
    ]),
  );
  const invalidated = new Set<string>();
  /** Where the clock stood when a tag was invalidated last. */
  const invalidatedAt = new Map<string, number>();
  let seq = 0;
  const published = new Set<number>();
  let step = 0;
  const mayFail = () => {
    step += 1;
    if (failsAt(step)) throw new Error(`step ${step}`);
  };
  const ports: RelayPorts = {
    readPending: async ({ limit }) => {
      mayFail();
      const found = [...pending.values()].sort((a, b) => (a.lane < b.lane ? 1 : a.lane > b.lane ? -1 : 0));
      return {
        changes: found.slice(0, limit),
        isFull: found.length > limit,
        newestId: found.at(-1)?.outboxId,
      };
    },
    invalidate: async (tags) => {
      mayFail();
      seq += 1;
      for (const tag of tags) {
        invalidated.add(tag);
        invalidatedAt.set(tag, seq);
      }
      return { epoch: 'e', seq };
    },
    publish: async (batch) => {
      // What is published may have no event yet has been invalidated before: never the other way round.
      for (const { tags } of batch) expect(tags.every((tag) => invalidated.has(tag))).toBe(true);
      mayFail();
      for (const { outboxId } of batch) published.add(outboxId);
    },
    markRelayed: async (ids, at) => {
      mayFail();
      for (const id of ids) {
        expect(published.has(id)).toBe(true);
        expect(at).toEqual({ epoch: 'e', seq: invalidatedAt.get(`t:${id}`) });
        pending.delete(id);
      }
    },
  };
  return { pending, invalidated, published, ports };
}

it('loses no change, wherever it is killed, and marks only published changes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(50), fc.uniqueArray(fc.integer({ min: 1, max: 30 })), async (changes, faults) => {
      const { pending, invalidated, published, ports } = world(changes, (step) => faults.includes(step));
      for (let tries = 0; tries < 60; tries += 1) await relayPass(ports).catch(() => 0);
      expect(pending.size).toBe(0);
      expect(invalidated.size).toBe(changes);
      expect(published.size).toBe(changes);
    }),
  );
});

it('relays a bounded number of changes a pass', async () => {
  const { pending, ports } = world(PASS_CHANGES_MAX + 1, () => false);
  expect(await relayPass(ports)).toMatchObject({ changes: PASS_CHANGES_MAX, isFull: true, allLive: true });
  expect(pending.size).toBe(1);
  expect(await relayPass(ports)).toMatchObject({ changes: 1, isFull: false, allLive: true });
  expect(await relayPass(ports)).toMatchObject({ changes: 0, isFull: false, newestId: undefined });
});

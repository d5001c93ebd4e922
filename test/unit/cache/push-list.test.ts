import { describe, expect, it } from 'vitest';
import { invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import type { Delta } from '../../../src/cache/clock/delta.ts';
import { applyPush, applySync, newMirror } from '../../../src/cache/clock/mirror.ts';
import { PushList } from '../../../src/cache/clock/push-list.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A root with one region that has asked, and pushes that arrive when the test says so. */
function world() {
  const root = newClock('e');
  const list = new PushList();
  list.add('weur', root.seq, 0);
  const sent: { pushed: Delta; arrive: () => void; lose: () => void }[] = [];
  const send = (_: string, pushed: Delta) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    sent.push({ pushed, arrive: resolve, lose: () => reject(new Error('lost')) });
    return promise;
  };
  return { root, list, sent, send };
}

describe('the push list', () => {
  it('sends one push a region at a time, and puts changes in between into the next', async () => {
    const { root, list, sent, send } = world();
    for (let tag = 0; tag < 10; tag += 1) {
      invalidate(root, [tag]);
      list.push(root, 0, send);
    }
    expect(sent).toHaveLength(1);
    sent[0]?.arrive();
    await settle();
    expect(sent).toHaveLength(2);
    expect(sent[1]?.pushed).toMatchObject({ sinceSeq: 1, seq: 10 });
  });

  it('starts again at the beginning of a lost push, so that the region has no gap', async () => {
    const { root, list, sent, send } = world();
    invalidate(root, [1]);
    list.push(root, 0, send);
    sent[0]?.lose();
    await settle();
    invalidate(root, [2]);
    list.push(root, 0, send);
    expect(sent[1]?.pushed).toMatchObject({ sinceSeq: 0, seq: 2 });
  });

  it('forgets a region that has not synced for a minute', () => {
    const { root, list, sent, send } = world();
    invalidate(root, [1]);
    list.push(root, 60_001, send);
    expect(sent).toHaveLength(0);
  });
});

describe('a pushed delta', () => {
  it('is ignored if an earlier one is missing or its epoch is another', () => {
    const mirror = newMirror();
    const delta = { epoch: 'e', sinceSeq: 0, floorSeq: 0, seq: 3, changes: new Uint8Array(0) };
    const answer = { ...delta, ageMs: 0, sources: {}, askAgainMs: 50 };
    applySync(mirror, answer, { atMs: 1_000, order: 1 });
    expect(applyPush(mirror, { ...delta, sinceSeq: 4, seq: 9 })).toBe(false);
    expect(applyPush(mirror, { ...delta, epoch: 'f', seq: 9 })).toBe(false);
    expect(mirror.clock.seq).toBe(3);
    expect(applyPush(mirror, { ...delta, sinceSeq: 2, seq: 9 })).toBe(true);
    expect(mirror.clock.seq).toBe(9);
    expect(mirror.syncSentAtMs).toBe(1_000);
  });
});

import { describe, expect, it, vi } from 'vitest';
import type { CachedAnswer } from '../../../src/cache/cached-answer.ts';
import { invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../../src/cache/clock/delta.ts';
import type { SyncRequest } from '../../../src/cache/clock/mirror.ts';
import { tagHashes } from '../../../src/cache/clock/tag-hash.ts';
import { bodyAndEtag } from '../../../src/cache/entry.ts';
import { GRACE_MS, Probe, type ProbeVerdict } from '../../../src/cache/probe.ts';
import type { ReadRequest } from '../../../src/cache/read-through.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';

const TAG = 'product:1';
const HASHES = tagHashes([TAG]);
const digest = async (text: string) => `digest of ${text}`.padEnd(32);

/** A probe that looks at everything, over an origin and a clock that the test moves. */
class World {
  value = 'v1';
  root = newClock('e');
  /** Up to when the root has been told everything: at first it is told as soon as it asks. */
  completeUntil: number | undefined;
  asked: SyncRequest[] = [];
  now = 0;
  originFails = false;
  /** Whether another answer substitutes the origin's, before and after the probe has slept. */
  substitutes: boolean[] = [];
  purgeFails = false;
  slept: number[] = [];
  invalidated: string[] = [];
  verdicts: ProbeVerdict[] = [];
  whileAsleep: () => void = () => undefined;
  readonly work: Promise<unknown>[] = [];
  readonly probe = new Probe({
    now: () => this.now,
    sleep: async (ms) => {
      this.slept.push(ms);
      this.now += ms;
      this.whileAsleep();
    },
    digest,
    count: (_, verdict) => this.verdicts.push(verdict),
    root: {
      sync: async (request) => {
        this.asked.push(request);
        const { epoch } = this.root;
        const delta = encodeDelta(this.root, request.epoch === epoch ? request.sinceSeq : 0);
        const sources = { outbox: this.now - (this.completeUntil ?? this.now) };
        return { ...delta, ageMs: 0, sources, askAgainMs: 50 };
      },
    },
    invalidate: async (tags) => {
      if (this.purgeFails) throw new Error('down');
      this.invalidated.push(...tags);
    },
  });

  async sample(answer: CachedAnswer, policy = cachePolicy()): Promise<void> {
    const request: ReadRequest = {
      view: 'product',
      key: 'k',
      policy,
      consistency: { level: undefined, atLeast: undefined },
      load: async () => {
        if (this.originFails) throw new Error('down');
        return { value: this.value, tags: [TAG], storable: this.substitutes.shift() !== true };
      },
    };
    this.probe.sample(request, answer, {
      keepAlive: (promise) => this.work.push(promise),
    });
    await Promise.all(this.work);
  }
}

async function hitOf(value: string, over: Partial<CachedAnswer> = {}): Promise<CachedAnswer> {
  const { body, etag } = await bodyAndEtag(value, digest);
  return {
    entry: { body, etag, tagHashes: HASHES, epoch: 'e', stamp: 0, filledAt: 0 },
    source: { hit: true, tier: 'memory', stale: false },
    unverified: undefined,
    ageS: 0,
    ttlS: 1,
    maxAgeS: 0,
    judgedSeq: 0,
    mirrorAgeMs: 0,
    token: 'e.0',
    ...over,
  };
}

describe('a probe', () => {
  it('finds an answer that equals the origin consistent, without waiting', async () => {
    const world = new World();
    await world.sample(await hitOf('v1'));
    expect(world.verdicts).toEqual([{ verdict: 'consistent', reason: 'equal' }]);
    expect(world.slept).toEqual([]);
  });

  it('waits for an invalidation to arrive', async () => {
    const world = new World();
    world.value = 'v2';
    world.whileAsleep = () => void invalidate(world.root, HASHES);
    await world.sample(await hitOf('v1'));
    expect(world.verdicts).toEqual([{ verdict: 'consistent', reason: 'changed_later' }]);
    expect(world.slept).toEqual([GRACE_MS]);
  });

  it('reports and purges an answer whose change was never invalidated', async () => {
    const world = new World();
    world.value = 'v2';
    using lines = vi.spyOn(console, 'error');
    await world.sample(await hitOf('v1'));
    expect(JSON.parse(String(lines.mock.calls[0]?.[0]))).toMatchObject({
      'event.reason': 'missed_invalidation',
      'millrace.view': 'product',
    });
    expect(world.verdicts).toEqual([{ verdict: 'inconsistent', reason: 'missed_invalidation' }]);
    expect(world.invalidated).toEqual(['cache:key:k']);
  });

  it('reports and purges an answer that its mirror knew to be invalidated', async () => {
    const world = new World();
    world.value = 'v2';
    invalidate(world.root, HASHES);
    await world.sample(await hitOf('v1', { judgedSeq: 1 }));
    expect(world.verdicts).toEqual([{ verdict: 'inconsistent', reason: 'served_invalidated' }]);
    expect(world.invalidated).toEqual(['cache:key:k']);
    // Since the stamp and not since the mirror's moment: what the mirror has lost has to come along.
    expect(world.asked).toMatchObject([{ sinceSeq: 0, maxAgeMs: 0 }]);
  });

  it.each([[[true]], [[false, true]]])(
    'says nothing of an answer that substitutes the origin: %j',
    async (substitutes) => {
      const world = new World();
      world.value = 'of a copy';
      world.substitutes = substitutes;
      await world.sample(await hitOf('v1'));
      expect(world.verdicts).toEqual([{ verdict: 'inconclusive', reason: 'unreachable' }]);
      expect(world.invalidated).toEqual([]);
    },
  );

  it('counts its verdict even if the purge fails', async () => {
    const world = new World();
    world.value = 'v2';
    world.purgeFails = true;
    await world.sample(await hitOf('v1'));
    expect(world.verdicts).toEqual([{ verdict: 'inconsistent', reason: 'missed_invalidation' }]);
  });

  it('reports nothing as missed before the watermarks have passed its read', async () => {
    const world = new World();
    world.value = 'v2';
    world.completeUntil = 0;
    await world.sample(await hitOf('v1'));
    expect(world.verdicts).toEqual([{ verdict: 'inconclusive', reason: 'source_behind' }]);
    expect(world.invalidated).toEqual([]);
    expect(world.asked).toHaveLength(3);
    for (const [index, { sourceMaxAgeMs }] of world.asked.entries())
      expect(sourceMaxAgeMs).toBeLessThan(world.slept.slice(0, index + 1).reduce((sum, ms) => sum + ms, 0));
  });

  it('waits for a late watermark', async () => {
    const world = new World();
    world.value = 'v2';
    world.completeUntil = 0;
    world.whileAsleep = () => {
      // The pass that the first question set off has found the change.
      if (world.slept.length === 2) invalidate(world.root, HASHES);
    };
    await world.sample(await hitOf('v1'));
    expect(world.verdicts).toEqual([{ verdict: 'consistent', reason: 'changed_later' }]);
  });

  it('is inconclusive if the origin changed back or does not answer', async () => {
    const world = new World();
    world.value = 'v2';
    world.whileAsleep = () => {
      world.value = 'v1';
    };
    await world.sample(await hitOf('v1'));
    world.originFails = true;
    world.now = 60_000;
    await world.sample(await hitOf('v1'));
    expect(world.verdicts.map(({ reason }) => reason)).toEqual(['changed_back', 'unreachable']);
  });

  it('probes only verified hits of views that allow it', async () => {
    const world = new World();
    await world.sample(await hitOf('v1', { unverified: 'source-behind' }));
    await world.sample(await hitOf('v1', { source: { hit: true, tier: 'kv', stale: true } }));
    await world.sample(
      await hitOf('v1', { source: { hit: false, forward: 'stale', stored: true, collapsed: false } }),
    );
    await world.sample(await hitOf('v1'), cachePolicy({ probe: false }));
    expect(world.verdicts).toEqual([]);
  });

  it('probes at most once a second', async () => {
    const world = new World();
    for (const now of [0, 10, 999, 1_000]) {
      world.now = now;
      await world.sample(await hitOf('v1'));
    }
    expect(world.verdicts).toHaveLength(2);
  });
});

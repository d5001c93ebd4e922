import { describe, expect, it } from 'vitest';
import { invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { slotsOf } from '../../../src/cache/clock/slots.ts';
import { bodyAndEtag } from '../../../src/cache/entry-body.ts';
import { GRACE_MS, judgeDifference, Probe, type ProbeVerdict } from '../../../src/cache/probe.ts';
import type { CachedAnswer, ReadRequest } from '../../../src/cache/read-through.ts';
import { cachePolicy } from '../../../src/catalog/define/cache-policy.ts';

const TAG = 'product:1';
const SLOTS = slotsOf([TAG]);
const digest = async (text: string) => `digest of ${text}`.padEnd(32);

describe('an answer that differs from the origin', () => {
  /** All orders of: a commit, its invalidation, the fill of an entry, the mirror's last sync and the serving. */
  it('is inconsistent only if its change was known to its mirror, or to nobody at all', () => {
    let wolves = 0;
    for (const steps of permutations(['commit', 'invalidate', 'stamp', 'read', 'sync', 'serve'])) {
      const precedes = (a: string, b: string) => steps.indexOf(a) < steps.indexOf(b);
      // The order in which they can happen: invalidated after the commit, served after it was filled and synced.
      if (!precedes('commit', 'invalidate') || !precedes('stamp', 'read') || !precedes('read', 'serve'))
        continue;
      if (!precedes('sync', 'serve')) continue;
      const root = newClock('e');
      let stamp = 0;
      let mirrorSeq = 0;
      for (const step of steps) {
        if (step === 'invalidate') invalidate(root, SLOTS);
        // The stamp is taken from the mirror, so the mirror knows at least as much when it judges.
        if (step === 'stamp') stamp = root.seq;
        if (step === 'sync') mirrorSeq = root.seq;
      }
      const judged = Math.max(mirrorSeq, stamp);
      const showsCommit = precedes('commit', 'read');
      const isServed = !(root.seq > stamp && judged >= root.seq);
      if (showsCommit || !isServed) continue;
      const verdict = judgeDifference({ epoch: 'e', stamp, slots: SLOTS }, judged, root);
      if (verdict.verdict !== 'consistent') wolves += 1;
    }
    expect(wolves).toBe(0);
  });

  it('was served although its mirror knew', () => {
    const root = newClock('e');
    const seq = invalidate(root, SLOTS);
    expect(judgeDifference({ epoch: 'e', stamp: seq - 1, slots: SLOTS }, seq, root).reason).toBe(
      'served_invalidated',
    );
  });

  it('was never invalidated', () => {
    const root = newClock('e');
    invalidate(root, slotsOf(['another']));
    expect(judgeDifference({ epoch: 'e', stamp: 0, slots: SLOTS }, 0, root).reason).toBe(
      'missed_invalidation',
    );
  });

  it('tells nothing after the clock was made anew', () => {
    expect(judgeDifference({ epoch: 'e', stamp: 0, slots: SLOTS }, 0, newClock('f')).verdict).toBe(
      'inconclusive',
    );
  });
});

function* permutations(items: readonly string[]): Generator<string[]> {
  if (items.length === 0) yield [];
  for (const [index, item] of items.entries()) {
    for (const rest of permutations(items.toSpliced(index, 1))) yield [item, ...rest];
  }
}

/** A probe that looks at everything, over an origin and a clock that the test moves. */
class World {
  value = 'v1';
  root = newClock('e');
  now = 0;
  share = 1;
  originFails = false;
  slept: number[] = [];
  invalidated: string[] = [];
  verdicts: ProbeVerdict[] = [];
  whileAsleep: () => void = () => undefined;
  readonly work: Promise<unknown>[] = [];
  readonly probe = new Probe({
    share: 1,
    now: () => this.now,
    random: () => 1 - this.share,
    sleep: async (ms) => {
      this.slept.push(ms);
      this.whileAsleep();
    },
    digest,
    count: (_, verdict) => this.verdicts.push(verdict),
  });

  async consider(answer: CachedAnswer, policy = cachePolicy()): Promise<void> {
    const request: ReadRequest = {
      view: 'product',
      key: 'k',
      policy,
      consistency: { level: undefined, atLeast: undefined },
      load: async () => {
        if (this.originFails) throw new Error('down');
        return { value: this.value, tags: [TAG], storable: true };
      },
    };
    this.probe.consider(request, answer, {
      freshClock: async () => this.root,
      invalidate: async (tags) => this.invalidated.push(...tags),
      keepAlive: (promise) => this.work.push(promise),
    });
    await Promise.all(this.work);
  }
}

async function hitOf(value: string, over: Partial<CachedAnswer> = {}): Promise<CachedAnswer> {
  const { body, etag } = await bodyAndEtag(value, digest);
  return {
    entry: { body, etag, slots: SLOTS, epoch: 'e', stamp: 0, filledAt: 0 },
    source: { hit: true, tier: 'memory', stale: false },
    unverified: undefined,
    ageS: 0,
    ttlS: 1,
    maxAgeS: 0,
    judgedSeq: 0,
    token: 'e.0',
    ...over,
  };
}

describe('a probe', () => {
  it('finds what is as at the origin consistent, without waiting', async () => {
    const world = new World();
    await world.consider(await hitOf('v1'));
    expect(world.verdicts).toEqual([{ verdict: 'consistent', reason: 'equal' }]);
    expect(world.slept).toEqual([]);
  });

  it('gives an invalidation time to arrive', async () => {
    const world = new World();
    world.value = 'v2';
    world.whileAsleep = () => void invalidate(world.root, SLOTS);
    await world.consider(await hitOf('v1'));
    expect(world.verdicts).toEqual([{ verdict: 'consistent', reason: 'changed_later' }]);
    expect(world.slept).toEqual([GRACE_MS]);
  });

  it('tells and heals what nobody has invalidated', async () => {
    const world = new World();
    world.value = 'v2';
    await world.consider(await hitOf('v1'));
    expect(world.verdicts).toEqual([{ verdict: 'inconsistent', reason: 'missed_invalidation' }]);
    expect(world.invalidated).toEqual(['cache:key:k']);
  });

  it('says nothing where the origin has changed back, or cannot be asked', async () => {
    const world = new World();
    world.value = 'v2';
    world.whileAsleep = () => {
      world.value = 'v1';
    };
    await world.consider(await hitOf('v1'));
    world.originFails = true;
    world.now = 60_000;
    await world.consider(await hitOf('v1'));
    expect(world.verdicts.map(({ reason }) => reason)).toEqual(['changed_back', 'unreachable']);
  });

  it('looks only at hits that claim to be right, of views that do not change with time', async () => {
    const world = new World();
    await world.consider(await hitOf('v1', { unverified: 'source-behind' }));
    await world.consider(await hitOf('v1', { source: { hit: true, tier: 'kv', stale: true } }));
    await world.consider(
      await hitOf('v1', { source: { hit: false, forward: 'stale', stored: true, collapsed: false } }),
    );
    await world.consider(await hitOf('v1'), cachePolicy({ probe: false }));
    world.share = 0;
    await world.consider(await hitOf('v1'));
    expect(world.verdicts).toEqual([]);
  });

  it('looks once a second at most', async () => {
    const world = new World();
    for (const now of [0, 10, 999, 1_000]) {
      world.now = now;
      await world.consider(await hitOf('v1'));
    }
    expect(world.verdicts).toHaveLength(2);
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import { type Clock, invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../../src/cache/clock/delta.ts';
import { ClockFollower } from '../../../src/cache/clock/follower.ts';
import { tagHashes } from '../../../src/cache/clock/tag-hash.ts';
import { type FillGatePort, GateHost } from '../../../src/cache/fill-gate.ts';
import { type ReadThroughPorts, readThrough } from '../../../src/cache/read-through.ts';
import { LEASE_MS, RECENT_FILLS_MAX, RecentFills } from '../../../src/cache/single-flight.ts';
import { MemoryTier } from '../../../src/cache/tiers/memory.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';

/** Isolates without a tier in common, over one gate for each key and an origin that answers when it is told to. */
class World {
  readonly root: Clock = newClock('e');
  now = 1_000_000;
  /** By key. */
  readonly loads = new Map<string, number>();
  /** The calls of gates, in their order. */
  readonly calls: string[] = [];
  readonly kept: Promise<unknown>[] = [];
  readonly #gates = new Map<string, GateHost>();
  #answer = Promise.withResolvers<void>();

  isolate(): ReadThroughPorts {
    return {
      follower: new ClockFollower({ now: () => this.now, withTimeout }),
      context: {
        keepAlive: (promise) => void this.kept.push(promise),
        parent: {
          sync: async ({ epoch, sinceSeq }) => {
            const delta = encodeDelta(this.root, epoch === this.root.epoch ? sinceSeq : 0);
            return { ...delta, ageMs: 0, sources: { outbox: 0 }, askAgainMs: 1_000 };
          },
        },
      },
      tiers: [new MemoryTier(1_000_000)],
      time: { now: () => this.now, withTimeout },
      gateOf: (key) => this.#gate(key),
      recentFills: new RecentFills(),
      digest: sha256Hex,
      pingOrigin: async () => undefined,
      random: () => 0,
      refreshing: new Map(),
    };
  }

  async read(isolate: ReadThroughPorts, key: string) {
    const policy = cachePolicy();
    const load = async () => {
      this.loads.set(key, (this.loads.get(key) ?? 0) + 1);
      await this.#answer.promise;
      return { value: 'v', tags: ['t'], storable: true };
    };
    const consistency = { level: 'strong', atLeast: undefined } as const;
    return await readThrough({ view: 'v', key, policy, consistency, load }, isolate);
  }

  /** Reads of many clients at once. The origin answers when all of them wait. */
  async crowd(isolates: readonly ReadThroughPorts[], key: string, readers: number) {
    this.#answer = Promise.withResolvers();
    const reads = Array.from({ length: readers }, (_, reader) => {
      const isolate = isolates[reader % isolates.length];
      if (isolate === undefined) throw new Error('There is no isolate.');
      return this.read(isolate, key);
    });
    for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
    this.#answer.resolve();
    const answers = await Promise.all(reads);
    await Promise.all(this.kept);
    return answers;
  }

  #gate(key: string): FillGatePort {
    const known = this.#gates.get(key);
    let tickets = 0;
    const newTicketId = () => `${key}#${++tickets}`;
    const setTimer = () => () => undefined;
    const host = known ?? new GateHost({ now: () => this.now, newTicketId, setTimer });
    this.#gates.set(key, host);
    const counted = <T>(name: string, call: () => Promise<T>) => {
      this.calls.push(name);
      return call();
    };
    return {
      enter: (need, leaseMs) => counted('enter', () => host.enter(need, leaseMs)),
      ping: () => counted('ping', () => host.ping()),
      complete: (id, entry) => counted('complete', () => host.complete(id, entry)),
      fail: (id) => counted('fail', () => host.fail(id)),
      disband: (id) => counted('disband', () => host.disband(id)),
    };
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe('the calls of objects for a fill', () => {
  it('are none for the first miss of a key', async () => {
    const one = world.isolate();
    for (const key of ['a', 'b', 'c']) await world.crowd([one], key, 1);
    expect(world.calls).toEqual([]);
    expect([...world.loads.values()]).toEqual([1, 1, 1]);
  });

  it('are two for a key that a tier has had', async () => {
    const one = world.isolate();
    await world.crowd([one], 'k', 1);
    world.now += 60_000;
    invalidate(world.root, tagHashes(['t']));
    await world.crowd([one], 'k', 1);
    expect(world.calls).toEqual(['enter', 'complete']);
    expect(world.loads.get('k')).toBe(2);
  });

  it('are two for a refresh ahead of expiry', async () => {
    const one = { ...world.isolate(), random: () => 1 - Number.EPSILON };
    await world.crowd([one], 'k', 1);
    world.now += 299_000;
    await world.crowd([one], 'k', 1);
    await expect.poll(() => world.calls).toEqual(['enter', 'complete']);
  });
});

describe('a thousand concurrent misses of one key', () => {
  it('read the origin once for each isolate, and once more, if no isolate has seen the key', async () => {
    const isolates = Array.from({ length: 10 }, () => world.isolate());
    const answers = await world.crowd(isolates, 'k', 1_000);
    expect(world.loads.get('k')).toBe(11);
    const collapsed = answers.filter(({ source }) => !source.hit && source.collapsed);
    expect(collapsed).toHaveLength(989);
  });

  it('read the origin once if every isolate has had the key', async () => {
    const isolates = Array.from({ length: 10 }, () => world.isolate());
    await world.crowd(isolates, 'k', 10);
    world.loads.clear();
    world.now += 60_000;
    invalidate(world.root, tagHashes(['t']));
    await world.crowd(isolates, 'k', 1_000);
    expect(world.loads.get('k')).toBe(1);
  });
});

describe('recent fills', () => {
  it('are remembered for a lease from the last one', () => {
    const fills = new RecentFills();
    expect(fills.begin('k', 0)).toBe(false);
    expect(fills.begin('k', LEASE_MS - 1)).toBe(true);
    expect(fills.begin('k', 2 * LEASE_MS - 2)).toBe(true);
    expect(fills.begin('k', 3 * LEASE_MS - 2)).toBe(false);
    expect(fills.begin('other', 3 * LEASE_MS - 2)).toBe(false);
  });

  it('are those of a bounded number of keys, the newest', () => {
    const fills = new RecentFills();
    fills.begin('popular', 0);
    for (let key = 0; key < RECENT_FILLS_MAX * 2; key += 1) {
      fills.begin(`key ${key}`, 0);
      if (key % 100 === 0) expect(fills.begin('popular', 0)).toBe(true);
    }
    expect(fills.size).toBe(RECENT_FILLS_MAX);
    expect(fills.begin('key 0', 0)).toBe(false);
    expect(fills.begin('popular', 0)).toBe(true);
  });
});

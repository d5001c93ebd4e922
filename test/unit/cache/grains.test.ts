import { beforeEach, describe, expect, it } from 'vitest';
import { type Clock, newClock } from '../../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../../src/cache/clock/delta.ts';
import { ClockFollower } from '../../../src/cache/clock/follower.ts';
import { meets } from '../../../src/cache/fill-gate.ts';
import { grainAt, grainEndMs } from '../../../src/cache/freshness.ts';
import { Probe, type ProbeVerdict } from '../../../src/cache/probe.ts';
import { type ReadRequest, type ReadThroughPorts, readThrough } from '../../../src/cache/read-through.ts';
import { RecentFills } from '../../../src/cache/single-flight.ts';
import { MemoryTier } from '../../../src/cache/tiers/memory.ts';
import { DemandModel } from '../../../src/cache/warming/demand.ts';
import { type ConsistencyLevel, cachePolicy } from '../../../src/define/cache-policy.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { Failure } from '../../../src/platform/failure.ts';

const GRAIN_MS = 60_000;
const BEGIN = 1_000 * GRAIN_MS;
const POLICY = cachePolicy({ ttlS: 300, boundMs: 2_000, jitter: 0 });

let root: Clock;
let now: number;
/** The `now` of each read of the origin. */
let loads: number[];
let originFails: Error | undefined;
let ports: ReadThroughPorts;
beforeEach(() => {
  root = newClock('e');
  now = BEGIN + 10_000;
  loads = [];
  originFails = undefined;
  const time = { now: () => now, withTimeout };
  ports = {
    follower: new ClockFollower(time),
    context: {
      keepAlive: () => undefined,
      parent: {
        sync: async ({ epoch, sinceSeq }) => ({
          ...encodeDelta(root, epoch === root.epoch ? sinceSeq : 0),
          ageMs: 0,
          sources: { outbox: 0 },
          askAgainMs: 1_000,
        }),
      },
    },
    tiers: [new MemoryTier(1_000_000)],
    time,
    gateOf: () => undefined,
    digest: sha256Hex,
    pingOrigin: async () => undefined,
    random: () => 0,
    refreshing: new Map(),
    recentFills: new RecentFills(),
  };
});

/** An answer that is the beginning of its grain. */
const requestOf = (level?: ConsistencyLevel): ReadRequest => ({
  view: 'recent',
  key: 'k',
  policy: POLICY,
  consistency: { level, atLeast: undefined },
  grainMs: GRAIN_MS,
  load: async (asOf) => {
    loads.push(asOf);
    if (originFails !== undefined) throw originFails;
    return { value: asOf, tags: ['ride'], storable: true };
  },
});
const read = async (level?: ConsistencyLevel) => await readThrough(requestOf(level), ports);

describe('an answer that depends on the time', () => {
  it('is loaded as of the beginning of its grain, and expires at the end of it', async () => {
    expect((await read()).entry).toMatchObject({ now: BEGIN, body: String(BEGIN) });
    now = BEGIN + GRAIN_MS - 1;
    expect((await read()).source).toMatchObject({ hit: true });
    expect(loads).toEqual([BEGIN]);
  });

  it.each(['strong', 'bounded'] as const)(
    'expires by itself for %s readers, without an invalidated tag',
    async (level) => {
      await read(level);
      now = BEGIN + GRAIN_MS;
      const next = await read(level);
      expect(next.source).toMatchObject({ hit: false, forward: 'stale' });
      expect(next.entry.body).toBe(String(BEGIN + GRAIN_MS));
      expect(loads).toEqual([BEGIN, BEGIN + GRAIN_MS]);
    },
  );

  it('may be given to eventual readers soon after its fill, while the next one is loaded', async () => {
    now = BEGIN + GRAIN_MS - 10_000;
    await read();
    now = BEGIN + GRAIN_MS + 1_000;
    const stale = await read('eventual');
    expect(stale).toMatchObject({ source: { hit: true, stale: true }, maxAgeS: 0, entry: { now: BEGIN } });
    await expect.poll(() => ports.refreshing.size).toBe(0);
    expect((await read('eventual')).entry.now).toBe(BEGIN + GRAIN_MS);
  });

  it('stands in for an unavailable origin, and is marked', async () => {
    await read();
    now = BEGIN + GRAIN_MS;
    originFails = new Failure('database_unavailable', 'down', { retryAfterS: 5 });
    expect(await read()).toMatchObject({
      unverified: 'origin-unavailable',
      entry: { now: BEGIN },
      maxAgeS: 0,
    });
  });

  it('is kept by other caches for no longer than its grain', async () => {
    await read();
    expect((await read()).maxAgeS).toBe(2);
    now = BEGIN + GRAIN_MS - 1_500;
    const { maxAgeS, ageS, ttlS } = await read();
    expect({ left: maxAgeS - ageS, ttlS }).toEqual({ left: 1, ttlS: 1 });
    now = BEGIN + GRAIN_MS - 500;
    expect((await read()).maxAgeS).toBe(0);
  });

  it('keeps one entry, whatever the number of grains', async () => {
    const [memory] = ports.tiers as [MemoryTier];
    const sizes = new Set<number>();
    for (let grain = 0; grain < 50; grain += 1) {
      now = BEGIN + grain * GRAIN_MS;
      await read();
      sizes.add(memory.bytes);
    }
    expect(loads).toHaveLength(50);
    expect(sizes.size).toBe(1);
  });

  it('from before the view had grains is not served', async () => {
    const { grainMs: _, ...ungrained } = requestOf();
    await readThrough(ungrained, ports);
    expect((await read()).source).toMatchObject({ hit: false });
  });
});

describe('the parts that use the entries of such a view', () => {
  it('the gate: a fill of an earlier grain is not handed to a reader of this one', () => {
    const need = { epoch: 'e', minStamp: 3, minNow: BEGIN };
    expect(meets({ epoch: 'e', stamp: 3, now: BEGIN }, need)).toBe(true);
    expect(meets({ epoch: 'e', stamp: 3, now: BEGIN - GRAIN_MS }, need)).toBe(false);
    expect(meets({ epoch: 'e', stamp: 3 }, { epoch: 'e', minStamp: 3 })).toBe(true);
  });

  it('the probe: it compares a hit with the origin as of the time that the hit was loaded with', async () => {
    await read();
    const hit = await read();
    const verdicts: ProbeVerdict[] = [];
    const probe = new Probe({
      now: () => now,
      sleep: async () => undefined,
      digest: sha256Hex,
      count: (_, verdict) => void verdicts.push(verdict),
      root: ports.context.parent,
      invalidate: async () => undefined,
    });
    // The origin is read for comparison when the next grain has begun.
    now = BEGIN + GRAIN_MS;
    probe.sample(requestOf(), hit, { keepAlive: () => undefined });
    await expect.poll(() => verdicts).toEqual([{ verdict: 'consistent', reason: 'equal' }]);
    expect(loads).toEqual([BEGIN, BEGIN]);
  });

  it('warming: the end of a grain makes a key a candidate, as an invalidation does', async () => {
    const model = new DemandModel({ halfLifeMs: 60_000, useProbabilityMin: 0, keysMax: 8 });
    const { entry } = await read();
    for (let times = 0; times < 3; times += 1) model.answered(requestOf(), entry, now);
    const { clock } = ports.follower.mirror;
    expect(model.candidates(clock, BEGIN + GRAIN_MS - 1, 4)).toEqual([]);
    const [candidate] = model.candidates(clock, BEGIN + GRAIN_MS, 4);
    expect(candidate?.recipe).toMatchObject({ key: 'k', grainMs: GRAIN_MS });
  });
});

describe('grains', () => {
  it('are counted from the Unix epoch', () => {
    expect(grainAt(GRAIN_MS, BEGIN + 59_999)).toBe(BEGIN);
    expect(grainAt(undefined, BEGIN + 59_999)).toBe(BEGIN + 59_999);
    expect(grainEndMs(GRAIN_MS, { now: BEGIN })).toBe(BEGIN + GRAIN_MS);
    expect(grainEndMs(undefined, {})).toBe(Number.POSITIVE_INFINITY);
  });
});

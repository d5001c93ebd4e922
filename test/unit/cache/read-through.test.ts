import { beforeEach, describe, expect, it, vi } from 'vitest';
import { newClock } from '../../../src/cache/clock/clock.ts';
import type { ReadThroughPorts } from '../../../src/cache/read-through.ts';
import { REFRESHING_MAX } from '../../../src/cache/refreshes.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';
import { Failure } from '../../../src/platform/failure.ts';

import { World } from './read-through-world.ts';

const POLICY = cachePolicy();
const refreshed = (isolate: ReadThroughPorts) => expect.poll(() => isolate.refreshing.size).toBe(0);
const outage = () => new Failure('database_unavailable', 'down', { retryAfterS: 5 });
let world: World;
beforeEach(() => {
  world = new World();
});

describe('read-through', () => {
  it('fills once, then hits memory; another isolate hits the tier that both share', async () => {
    const one = world.isolate();
    expect((await world.read(one)).source).toEqual({
      hit: false,
      forward: 'uri-miss',
      stored: true,
      collapsed: false,
    });
    expect((await world.read(one)).source).toEqual({ hit: true, tier: 'memory', stale: false });
    expect((await world.read(world.isolate())).source).toMatchObject({ hit: true });
    expect(world.loads).toBe(1);
  });

  it('keeps an entry when another tag is invalidated, and refills it when its own tag is', async () => {
    const one = world.isolate();
    await world.read(one);
    world.invalidate('product:2');
    expect((await world.read(one, { level: 'strong' })).source.hit).toBe(true);
    world.invalidate('product:1');
    world.value = 'v2';
    const answer = await world.read(one, { level: 'strong' });
    expect(answer.source).toEqual({ hit: false, forward: 'stale', stored: true, collapsed: false });
    expect(answer.entry.body).toBe('"v2"');
  });

  it('tells whether a refill of an invalidated entry had other content', async () => {
    const refills: string[] = [];
    const one = { ...world.isolate(), refilled: (_: string, content: string) => void refills.push(content) };
    await world.read(one);
    world.invalidate('product:1');
    await world.read(one, { level: 'strong' });
    expect(refills).toEqual(['unchanged']);
    world.invalidate('product:1');
    world.value = 'v2';
    await world.read(one, { level: 'strong' });
    expect(refills).toEqual(['unchanged', 'changed']);
  });

  it('lets a bounded read see an invalidation once the bound has passed', async () => {
    const one = world.isolate();
    await world.read(one);
    world.value = 'v2';
    world.invalidate('product:1');
    expect((await world.read(one)).entry.body).toBe('"v1"');
    world.now += POLICY.boundMs + 1;
    expect((await world.read(one)).entry.body).toBe('"v2"');
  });

  it('stores an entry that races with an invalidation as already invalid', async () => {
    const one = world.isolate();
    await world.read(one, {
      during: () => {
        world.value = 'v2';
        world.invalidate('product:1');
      },
    });
    expect((await world.read(one, { level: 'strong' })).entry.body).toBe('"v2"');
  });

  it('invalidates every entry with a new epoch', async () => {
    const one = world.isolate();
    await world.read(one);
    world.root = newClock('restored');
    world.value = 'v2';
    expect((await world.read(one, { level: 'strong' })).entry.body).toBe('"v2"');
  });

  it('gives no token with a fill that began in an epoch which ended meanwhile', async () => {
    const one = world.isolate();
    const answer = await world.read(one, {
      during: async () => {
        world.root = newClock('restored');
        await one.follower.ensure({ maxAgeMs: 0, atLeast: undefined }, one.follower.begin(), one.context);
      },
    });
    expect(one.follower.mirror.clock.epoch).toBe('restored');
    expect(answer.token).toBeUndefined();
    expect((await world.read(one)).token).toBe('restored.0');
  });

  it('keeps an entry no longer than its time to live', async () => {
    const one = world.isolate();
    await world.read(one);
    world.now += (POLICY.ttlS + POLICY.staleWhileRevalidateS) * 1_000;
    expect((await world.read(one)).source).toMatchObject({ hit: false, forward: 'stale' });
  });
});

describe('read-through after the time to live', () => {
  const expired = (POLICY.ttlS + 1) * 1_000;

  it('forgets the refreshes of cancelled requests after their lease, and begins no more than its limit', async () => {
    const one = world.isolate();
    await world.read(one);
    for (let index = 0; index < REFRESHING_MAX; index += 1)
      one.refreshing.set(`cancelled ${index}`, world.now);
    world.now += expired;
    for (const key of [...one.refreshing.keys()].slice(10)) one.refreshing.set(key, world.now);
    const before = world.loads;
    await world.read(one, { policy: { staleWhileRevalidateS: 600 } });
    await expect.poll(() => world.loads).toBe(before + 1);
    await expect.poll(() => one.refreshing.size).toBe(REFRESHING_MAX - 10);
    for (let index = 0; index < 10; index += 1) one.refreshing.set(`running ${index}`, world.now);
    world.now += 1;
    await world.read(one, { policy: { ttlS: 0, staleWhileRevalidateS: 600 } });
    expect(one.refreshing.size).toBe(REFRESHING_MAX);
  });

  it('serves an expired entry that was not invalidated, and refreshes it once in the background', async () => {
    const one = world.isolate();
    await world.read(one);
    world.now += expired;
    world.value = 'v2';
    const { promise, resolve } = Promise.withResolvers<void>();
    world.originIsSlow = promise;
    // Wider than the jitter, which may take a tenth off the time to live.
    const read = () => world.read(one, { policy: { staleWhileRevalidateS: 60 } });
    const answers = await Promise.all([read(), read(), read()]);
    expect(answers.map(({ source }) => source)).toEqual(
      Array(3).fill({ hit: true, tier: 'memory', stale: true }),
    );
    expect(answers[0]?.entry.body).toBe('"v1"');
    expect(world.loads).toBe(2);
    resolve();
    await refreshed(one);
    expect((await world.read(one)).entry.body).toBe('"v2"');
    expect(world.loads).toBe(2);
  });

  it('serves an invalidated entry only to eventual readers', async () => {
    const one = world.isolate();
    await world.read(one);
    world.value = 'v2';
    world.invalidate('product:1');
    world.now += 5_000;
    const eventual = await world.read(one, { level: 'eventual' });
    expect(eventual).toMatchObject({ source: { hit: true, stale: true }, maxAgeS: 0 });
    expect(eventual.entry.body).toBe('"v1"');
    await refreshed(one);
    expect((await world.read(one)).entry.body).toBe('"v2"');
  });

  it('keeps negative entries for their own, shorter time', async () => {
    const one = world.isolate();
    world.value = null;
    await world.read(one, { policy: { staleWhileRevalidateS: 0 } });
    world.now += (POLICY.negativeTtlS + 1) * 1_000;
    const answer = await world.read(one, { policy: { staleWhileRevalidateS: 0 } });
    expect(answer.source).toMatchObject({ hit: false, forward: 'stale' });
  });

  it('lets other caches keep an answer for the rest of the bound, and strong answers not at all', async () => {
    const one = world.isolate();
    const first = await world.read(one, { policy: { boundMs: 10_000 } });
    expect(first.maxAgeS).toBe(10);
    expect((await world.read(one, { level: 'strong' })).maxAgeS).toBe(0);
  });

  it('keeps entries only where the policy says', async () => {
    const one = world.isolate();
    await world.read(one, { policy: { tiers: ['kv'] } });
    expect((await world.read(one, { policy: { tiers: ['kv'] } })).source.hit).toBe(false);
  });
});

describe('read-through without its clock', () => {
  it('reads the origin without storing, or serves an entry marked unverified, as the policy says', async () => {
    const one = world.isolate();
    await world.read(one);
    world.clockIsAway = true;
    world.now += 5_000;
    world.value = 'v2';
    const correct = await world.read(one);
    expect(correct).toMatchObject({
      source: { forward: 'bypass', stored: false },
      unverified: 'clock-unavailable',
    });
    expect(correct.entry.body).toBe('"v2"');
    const fast = await world.read(one, { policy: { whenUnverified: 'stale' } });
    expect(fast).toMatchObject({ source: { hit: true }, unverified: 'clock-unavailable', token: undefined });
    expect(fast.entry.body).toBe('"v1"');
  });

  it('returns no token if its mirror has never synced', async () => {
    await world.read(world.isolate());
    world.clockIsAway = true;
    const answer = await world.read(world.isolate(), {
      level: 'eventual',
      policy: { staleWhileRevalidateS: 60 },
    });
    expect(answer).toMatchObject({ source: { hit: true, stale: true }, token: undefined });
  });

  it('never serves a strong read from an entry', async () => {
    const one = world.isolate();
    await world.read(one);
    world.clockIsAway = true;
    world.value = 'v2';
    const answer = await world.read(one, { level: 'strong', policy: { whenUnverified: 'stale' } });
    expect(answer.entry.body).toBe('"v2"');
  });
});

describe('read-through with a source whose watermark lags', () => {
  it('reads the origin, stores its answer and marks the reason, or serves the entry marked unverified', async () => {
    const one = world.isolate();
    await world.read(one);
    world.sourceAgeMs = POLICY.sourceBoundMs + 1;
    world.now += POLICY.boundMs + 1;
    world.value = 'v2';
    const correct = await world.read(one);
    expect(correct).toMatchObject({
      source: { stored: true, because: 'source-behind' },
      unverified: undefined,
    });
    expect(correct.entry.body).toBe('"v2"');
    world.value = 'v3';
    const fast = await world.read(one, { policy: { whenUnverified: 'stale' } });
    expect(fast).toMatchObject({ source: { hit: true }, unverified: 'source-behind', maxAgeS: 0 });
    expect(fast.entry.body).toBe('"v2"');
  });

  it('serves strong and session readers as usual, because their promise covers acknowledged changes only', async () => {
    const one = world.isolate();
    await world.read(one);
    world.sourceAgeMs = Number.POSITIVE_INFINITY;
    const strong = await world.read(one, { level: 'strong' });
    expect(strong).toMatchObject({ source: { hit: true }, unverified: undefined });
  });

  it('trusts the source again after the first sync with a fresh watermark', async () => {
    const one = world.isolate();
    world.sourceAgeMs = Number.POSITIVE_INFINITY;
    await world.read(one);
    expect((await world.read(one)).source).toMatchObject({ hit: false, because: 'source-behind' });
    world.sourceAgeMs = 0;
    // As soon as the parent may be asked again, and well within the bound.
    world.now += 1_000;
    expect((await world.read(one)).source).toMatchObject({ hit: true });
  });

  it('never serves an entry as unverified that the clock knows to be invalidated', async () => {
    const one = world.isolate();
    await world.read(one);
    world.sourceAgeMs = Number.POSITIVE_INFINITY;
    world.value = 'v2';
    world.invalidate('product:1');
    world.now += POLICY.boundMs + 1;
    expect((await world.read(one, { policy: { whenUnverified: 'stale' } })).entry.body).toBe('"v2"');
  });
});

describe('read-through without its origin', () => {
  it('still hits; serves a marked stale entry in an outage; does not hide a bug', async () => {
    const one = world.isolate();
    await world.read(one);
    world.originFails = outage();
    expect((await world.read(one)).source.hit).toBe(true);
    world.invalidate('product:1');
    world.now += POLICY.boundMs + 1;
    const standIn = await world.read(one);
    expect(standIn).toMatchObject({
      source: { hit: false, forward: 'stale' },
      unverified: 'origin-unavailable',
    });
    expect(standIn.entry.body).toBe('"v1"');
    world.originFails = new Error('a bug in the query');
    await expect(world.read(one)).rejects.toThrow('a bug in the query');
  });

  it('lets nothing stand in for strong and session readers, unless the view declares it', async () => {
    const one = world.isolate();
    await world.read(one);
    world.originFails = outage();
    world.invalidate('product:1');
    const strong = { level: 'strong' } as const;
    const session = { atLeast: { epoch: 'e', seq: 1 } } as const;
    for (const reader of [strong, session])
      await expect(world.read(one, reader)).rejects.toMatchObject({ code: 'database_unavailable' });
    for (const reader of [strong, session])
      expect(await world.read(one, { ...reader, policy: { staleIfErrorFor: 'all' } })).toMatchObject({
        unverified: 'origin-unavailable',
        token: undefined,
        maxAgeS: 0,
      });
  });

  it('fails if no entry can stand in, or if it is too old', async () => {
    const one = world.isolate();
    world.originFails = outage();
    await expect(world.read(one)).rejects.toMatchObject({ code: 'database_unavailable' });
    world.originFails = undefined;
    await world.read(one);
    world.originFails = outage();
    world.now += (POLICY.ttlS + POLICY.staleIfErrorS + 1) * 1_000;
    await expect(world.read(one)).rejects.toMatchObject({ code: 'database_unavailable' });
  });

  it('does not wait for an origin that hangs, and keeps its answer when that comes late', async () => {
    vi.useFakeTimers();
    try {
      const one = { ...world.isolate(), pingOrigin: () => new Promise(() => undefined) };
      await world.read(one);
      world.invalidate('product:1');
      world.now += POLICY.boundMs + 1;
      const { promise, resolve } = Promise.withResolvers<void>();
      world.originIsSlow = promise;
      world.value = 'v2';
      const begun = Date.now();
      const reading = Promise.resolve(world.read(one)).then((standIn) => {
        expect(Date.now() - begun).toBeLessThan(1_000);
        expect(standIn).toMatchObject({ unverified: 'origin-unavailable', entry: { body: '"v1"' } });
      });
      const promised = world.read(one, { level: 'strong' });
      await vi.advanceTimersByTimeAsync(1_000);
      await reading;
      resolve();
      expect((await promised).entry.body).toBe('"v2"');
      await vi.advanceTimersByTimeAsync(0);
      expect(await world.read(one)).toMatchObject({ source: { hit: true }, entry: { body: '"v2"' } });
    } finally {
      vi.useRealTimers();
    }
  });
});

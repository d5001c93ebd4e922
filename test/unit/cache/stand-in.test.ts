import { beforeEach, expect, it } from 'vitest';
import { type ReadRequest, readThrough, standInFromMemory } from '../../../src/cache/read-through.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';
import type { Loaded } from '../../../src/define/view.ts';
import { DeadlinePassed } from '../../../src/platform/deadline.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { World } from './read-through-world.ts';

const policy = cachePolicy();
const PASSED = {
  within: async () => {
    throw new DeadlinePassed('The time has passed.');
  },
};
const DEGRADED: Loaded = { value: 'default', tags: ['product:1'], storable: false, isDegraded: true };

let world: World;
beforeEach(() => {
  world = new World();
});

function request(load: ReadRequest['load'], more: Partial<ReadRequest> = {}): ReadRequest {
  const consistency = { level: undefined, atLeast: undefined };
  return { view: 'v', key: 'k', policy, consistency, load, ...more };
}

/** An isolate with the entry "v1" that a change has made stale. */
async function withStaleEntry() {
  const one = world.isolate();
  await world.read(one);
  world.invalidate('product:1');
  world.now += policy.boundMs + 1;
  return one;
}

it('is a better answer than a degraded one, marked as stale, and neither is kept', async () => {
  const one = await withStaleEntry();
  const degraded = request(async () => DEGRADED);
  for (let asked = 0; asked < 2; asked += 1)
    expect(await readThrough(degraded, one)).toMatchObject({
      source: { hit: false, forward: 'stale', stored: false },
      unverified: 'origin-unavailable',
      entry: { body: '"v1"' },
      token: undefined,
      maxAgeS: 0,
    });
  world.value = 'v2';
  expect((await world.read(one)).entry.body).toBe('"v2"');
});

it('answers when the deadline of the reader passes first', async () => {
  const one = await withStaleEntry();
  const late = request(() => new Promise<never>(() => undefined), { deadline: PASSED });
  expect(await readThrough(late, one)).toMatchObject({
    unverified: 'origin-unavailable',
    entry: { body: '"v1"' },
  });
});

it('does not stand in for a strong reader, who gets the degraded answer', async () => {
  const one = await withStaleEntry();
  const strong = request(async () => DEGRADED, { consistency: { level: 'strong', atLeast: undefined } });
  expect(await readThrough(strong, one)).toMatchObject({
    source: { hit: false, stored: false },
    entry: { body: '"default"' },
  });
});

it('is found in memory without waiting, unless it is too old or for a strong reader', async () => {
  const one = await withStaleEntry();
  const asked = request(async () => DEGRADED);
  expect(standInFromMemory(asked, one)).toMatchObject({
    source: { hit: false },
    unverified: 'origin-unavailable',
    entry: { body: '"v1"' },
  });
  const strong = { ...asked, consistency: { level: 'strong', atLeast: undefined } } as const;
  expect(standInFromMemory(strong, one)).toBeUndefined();
  expect(standInFromMemory({ ...asked, key: 'other' }, one)).toBeUndefined();
  world.now += (policy.ttlS + policy.staleIfErrorS) * 1_000;
  expect(standInFromMemory(asked, one)).toBeUndefined();
});

/** The clock is away, and the isolate has noticed it. */
async function withoutClock() {
  const one = await withStaleEntry();
  world.clockIsAway = true;
  return one;
}
const away = new Failure('database_unavailable', 'The database does not answer.');
const STAND_IN = { unverified: 'origin-unavailable', entry: { body: '"v1"' }, token: undefined };

it('answers when neither the clock nor the origin does', async () => {
  const one = await withoutClock();
  const failing = request(() => Promise.reject(away));
  expect(await readThrough(failing, one)).toMatchObject(STAND_IN);
  // An origin that hangs does not answer pings either.
  const silent = { ...one, pingOrigin: () => Promise.reject(away) };
  expect(
    await readThrough(
      request(() => new Promise<never>(() => undefined)),
      silent,
    ),
  ).toMatchObject(STAND_IN);
});

it('does not answer without the clock where the origin does, or for a strong reader, or once it is too old', async () => {
  const one = await withoutClock();
  world.value = 'v2';
  expect(await world.read(one)).toMatchObject({ unverified: 'clock-unavailable', entry: { body: '"v2"' } });
  const failing = request(() => Promise.reject(away));
  const strong = { ...failing, consistency: { level: 'strong', atLeast: undefined } } as const;
  await expect(readThrough(strong, one)).rejects.toBe(away);
  world.now += (policy.ttlS + policy.staleIfErrorS) * 1_000;
  await expect(readThrough(failing, one)).rejects.toBe(away);
});

it('hides no defect of a view without the clock', async () => {
  const one = await withoutClock();
  const defect = new TypeError('undefined is not a function');
  await expect(
    readThrough(
      request(() => Promise.reject(defect)),
      one,
    ),
  ).rejects.toBe(defect);
});

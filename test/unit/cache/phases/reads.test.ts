import { expect, it } from 'vitest';
import { invalidate } from '../../../../src/cache/clock/clock.ts';
import { phasesOf } from '../../../../src/cache/phases.ts';
import { Failure } from '../../../../src/platform/failure.ts';
import { type PhaseStates, phaseCode, statesOfCode } from '../../../../src/platform/phases.ts';
import { World } from '../read-through-world.ts';

/** A world whose phases can be switched. */
class Switched extends World {
  switch(change: Partial<PhaseStates>): void {
    const seq = invalidate(this.root, [0]);
    const states = statesOfCode(phaseCode({ ...this.root.phases.states, ...change }));
    this.root.phases = { states, seq };
  }
}

const told = async (reading: ReturnType<World['read']>) => {
  const { entry, source, unverified } = await reading;
  const how = source.hit ? source.tier : `${source.forward} ${source.because ?? ''}`.trim();
  return [JSON.parse(entry.body), how, ...(unverified === undefined ? [] : [unverified])];
};

it('reads go past a cache that is off, and what it had is judged when it is on again', async () => {
  const world = new Switched();
  const isolate = world.isolate();
  expect(await told(world.read(isolate))).toEqual(['v1', 'uri-miss']);
  expect(await told(world.read(isolate))).toEqual(['v1', 'memory']);
  world.switch({ cache: 'off' });
  world.now += 2_001;
  world.value = 'v2';
  world.invalidate('product:1');
  expect(await told(world.read(isolate))).toEqual(['v2', 'bypass phase-off']);
  expect(await told(world.read(isolate))).toEqual(['v2', 'bypass phase-off']);
  expect(world.loads).toBe(3);
  world.switch({ cache: 'on' });
  world.now += 2_001;
  expect(await told(world.read(isolate))).toEqual(['v2', 'stale']);
  expect(await told(world.read(isolate))).toEqual(['v2', 'memory']);
});

it('an entry from before is a hit again if nothing has invalidated it meanwhile', async () => {
  const world = new Switched();
  const isolate = world.isolate();
  await world.read(isolate);
  world.switch({ cache: 'off' });
  world.now += 2_001;
  // Though the entry is valid, in memory, and the mirror is fresh for the second read.
  for (let read = 0; read < 2; read += 1)
    expect(await told(world.read(isolate))).toEqual(['v1', 'bypass phase-off']);
  world.switch({ cache: 'on' });
  world.now += 2_001;
  expect(await told(world.read(isolate))).toEqual(['v1', 'memory']);
});

it('a degraded cache serves what it has and is not filled, neither by readers nor from a farther tier', async () => {
  const world = new Switched();
  const [filler, other] = [world.isolate(), world.isolate()];
  await world.read(filler);
  world.switch({ cache: 'degraded' });
  world.now += 2_001;
  for (let read = 0; read < 2; read += 1) {
    expect(await told(world.read(other))).toEqual(['v1', 'memory']);
    expect(other.tiers.map((tier) => tier.get('k') !== undefined)).toEqual([false, true]);
  }
  expect(await told(world.read(filler))).toEqual(['v1', 'memory']);
  world.value = 'v2';
  world.invalidate('product:1');
  world.now += 2_001;
  for (let read = 0; read < 2; read += 1)
    expect(await told(world.read(filler))).toEqual(['v2', 'bypass phase-degraded']);
  expect(world.loads).toBe(3);
});

it('a degraded cache serves nothing stale, except for an origin that is away', async () => {
  const world = new Switched();
  const isolate = world.isolate();
  const policy = { staleWhileRevalidateS: 600, staleIfErrorS: 600 };
  await world.read(isolate, { policy });
  world.switch({ cache: 'degraded' });
  world.invalidate('product:1');
  world.value = 'v2';
  world.now += 2_001;
  const eventual = { level: 'eventual', policy } as const;
  expect(await told(world.read(isolate, eventual))).toEqual(['v2', 'bypass phase-degraded']);
  world.originFails = new Failure('database_unavailable', 'away');
  expect(await told(world.read(isolate, { policy }))).toEqual(['v1', 'stale', 'origin-unavailable']);
  world.switch({ cache: 'off' });
  world.now += 2_001;
  await expect(world.read(isolate, { policy })).rejects.toThrow('away');
});

it('a reader whose own bound is longer hears of a switch within two seconds', async () => {
  const world = new Switched();
  const isolate = world.isolate();
  const policy = { boundMs: 60_000 };
  await world.read(isolate, { policy });
  world.now += 1_000;
  world.switch({ cache: 'off' });
  world.now += 2_000;
  expect(await told(world.read(isolate, { policy }))).toEqual(['v1', 'bypass phase-off']);
});

it('the last known states hold while the clock does not answer', async () => {
  const world = new Switched();
  const isolate = world.isolate();
  const { follower, context, time } = isolate;
  expect(await phasesOf(follower, context, time)).toBe(statesOfCode(0));
  world.switch({ pipeline: 'off' });
  world.now += 2_001;
  world.clockIsAway = true;
  expect((await phasesOf(follower, context, time)).pipeline).toBe('on');
  world.clockIsAway = false;
  expect((await phasesOf(follower, context, time)).pipeline).toBe('off');
  world.clockIsAway = true;
  world.now += 10_000;
  expect((await phasesOf(follower, context, time)).pipeline).toBe('off');
});

it('the states cost no call while an isolate syncs for its readers', async () => {
  const world = new Switched();
  const isolate = world.isolate();
  let syncs = 0;
  const { parent } = isolate.context;
  const sync: typeof parent.sync = async (request) => {
    syncs += 1;
    return await parent.sync(request);
  };
  const context = { ...isolate.context, parent: { sync } };
  await world.read({ ...isolate, context });
  const before = syncs;
  for (let ask = 0; ask < 100; ask += 1)
    expect(phasesOf(isolate.follower, context, isolate.time)).not.toBeInstanceOf(Promise);
  expect(syncs).toBe(before);
});

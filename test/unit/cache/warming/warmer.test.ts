import { beforeEach, describe, expect, it } from 'vitest';
import type { CachedAnswer } from '../../../../src/cache/cached-answer.ts';
import { invalidate, newClock } from '../../../../src/cache/clock/clock.ts';
import type { Entry } from '../../../../src/cache/entry.ts';
import { WARMING_LIMITS, WarmingBudget } from '../../../../src/cache/warming/budget.ts';
import { DemandModel, type Recipe } from '../../../../src/cache/warming/demand.ts';
import { PAUSE_MS, WAVE_FILLS_MAX, Warmer } from '../../../../src/cache/warming/warmer.ts';
import { cachePolicy } from '../../../../src/define/cache-policy.ts';

const POLICY = cachePolicy();
const MISS = { hit: false, forward: 'uri-miss', stored: true, collapsed: false } as const;
const HIT = { hit: true, tier: 'memory', stale: false } as const;

/** One isolate: what it reads, where its mirror stands, and how its origin does. */
class World {
  readonly clock = newClock('e');
  nowMs = 1_000_000;
  readonly read: string[] = [];
  underWay = 0;
  underWayMost = 0;
  source: CachedAnswer['source'] = MISS;
  failure: Error | undefined;
  readonly waves: Promise<unknown>[] = [];
  readonly warmer: Warmer;

  constructor(burst = WARMING_LIMITS.burst) {
    const budget = new WarmingBudget({ ...WARMING_LIMITS, burst });
    this.warmer = new Warmer(
      () => this.clock,
      () => this.nowMs,
      new DemandModel(),
      budget,
    );
  }

  answer(slot: number, source: CachedAnswer['source']): CachedAnswer {
    const { seq: stamp } = this.clock;
    const fill = { tagHashes: [slot], epoch: 'e', stamp, filledAt: this.nowMs, fillMs: 20 };
    const entry: Entry = { body: '{}', etag: '"e"', ...fill };
    return {
      entry,
      source,
      unverified: undefined,
      ageS: 0,
      ttlS: 300,
      maxAgeS: 0,
      judgedSeq: stamp,
      mirrorAgeMs: 0,
      token: undefined,
    };
  }

  /** Readers ask for the key of a slot so often that it is expected again. */
  popular(slot: number): void {
    const answer = this.answer(slot, HIT);
    for (let read = 0; read < 30; read += 1) this.warmer.answered(recipeOf(slot), answer);
  }

  async refill(): Promise<void> {
    this.nowMs += PAUSE_MS;
    this.warmer.refill({
      keepAlive: (promise) => this.waves.push(promise),
      read: async ({ key }: Recipe) => {
        this.underWay += 1;
        this.underWayMost = Math.max(this.underWayMost, this.underWay);
        await Promise.resolve();
        this.underWay -= 1;
        this.read.push(key);
        if (this.failure !== undefined) throw this.failure;
        return this.answer(Number(key), this.source);
      },
    });
    await Promise.all(this.waves.splice(0));
  }

  invalidate(...slots: number[]): void {
    invalidate(this.clock, slots);
    this.warmer.moved();
  }
}

function recipeOf(slot: number): Recipe {
  return { view: 'product', key: String(slot), input: { slot }, policy: POLICY };
}
const SLOTS = Array.from({ length: 3 * WAVE_FILLS_MAX }, (_, slot) => slot);

let world: World;
beforeEach(() => {
  world = new World();
});

describe('the warmer', () => {
  it('refills only popular invalidated keys, each once', async () => {
    world.popular(1);
    world.popular(2);
    world.warmer.answered(recipeOf(3), world.answer(3, MISS));
    world.invalidate(1, 3);
    await world.refill();
    await world.refill();
    expect(world.read).toEqual(['1']);
  });

  it('does nothing until an entry may have been invalidated', async () => {
    world.popular(1);
    invalidate(world.clock, [1]);
    expect(world.warmer.isDue).toBe(false);
    await world.refill();
    expect(world.read).toEqual([]);
  });

  it('fills a few keys at a time, and continues after later answers until all are filled', async () => {
    world = new World(SLOTS.length + 1);
    for (const slot of SLOTS) world.popular(slot);
    world.invalidate(...SLOTS);
    await world.refill();
    expect(world.read).toHaveLength(WAVE_FILLS_MAX);
    expect(world.underWayMost).toBe(2);
    for (let answer = 0; answer < SLOTS.length; answer += 1) await world.refill();
    expect(world.warmer.isDue).toBe(false);
    expect(world.read.sort()).toEqual(SLOTS.map(String).sort());
  });

  it('spends at most its budget on unread keys, and continues when warms are read', async () => {
    world = new World(2);
    world.popular(1);
    for (let round = 0; round < 10; round += 1) {
      world.invalidate(1);
      await world.refill();
    }
    expect(world.read).toHaveLength(2);

    world = new World(2);
    world.popular(1);
    for (let round = 0; round < 10; round += 1) {
      world.invalidate(1);
      const { seq } = world.clock;
      await world.refill();
      const { entry } = world.answer(1, HIT);
      const warm = { ...entry, stamp: seq };
      world.warmer.answered(recipeOf(1), { ...world.answer(1, HIT), entry: warm });
    }
    expect(world.read).toHaveLength(10);
  });

  it('spends no budget on a key that another isolate has filled', async () => {
    world = new World(2);
    world.source = HIT;
    world.popular(1);
    for (let round = 0; round < 10; round += 1) {
      world.invalidate(1);
      await world.refill();
    }
    expect(world.read).toHaveLength(10);
  });

  it('stops warming while the origin fails', async () => {
    world.failure = new Error('down');
    for (const slot of SLOTS) world.popular(slot);
    world.invalidate(...SLOTS);
    await world.refill();
    expect(world.read).toHaveLength(2);
  });

  it('does not learn from unverified answers', async () => {
    const answer = { ...world.answer(1, HIT), unverified: 'clock-unavailable' } as const;
    for (let read = 0; read < 30; read += 1) world.warmer.answered(recipeOf(1), answer);
    world.invalidate(1);
    await world.refill();
    expect(world.read).toEqual([]);
  });
});

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import {
  type RegisteredRollout,
  type RolloutStep,
  Rollouts,
  type RolloutsPorts,
} from '../../durable-objects/rollouts/object.ts';
import type { Watched } from '../../durable-objects/rollouts/store.ts';
import { rolloutOf } from '../../src/define/rollout.ts';
import { isUnderWay } from '../../src/inference/rollout/moves.ts';
import { RolloutWatch } from '../../src/inference/rollout/watch.ts';
import { systemNow } from '../../src/platform/clock.ts';

const NEEDS = { requests: 10, seconds: 0 };
/** A step that is this old has had half of its time. */
const LONG_AGO_MS = 400_000;
const PLAN = rolloutOf({
  ...{ start: 'automatic', shadow: NEEDS, canary: { ...NEEDS, labels: 5 }, shares: [50] },
  stepWithinSeconds: 600,
});

/** A registry of one model: the steps of its rollouts, and what its aliases name. */
class Registry implements RolloutsPorts {
  champion = 'v1';
  challenger: string | null = null;
  isByHand = false;
  readonly steps: { readonly version: string; readonly stage: string; readonly reason: string }[] = [];
  #at: Watched | undefined;

  /** Begins a rollout in its one share. */
  inCanary(version: string, beganMs = systemNow()): void {
    const watch = RolloutWatch.begin(PLAN, 'system:rollout', beganMs, true);
    watch.goOn({ stage: 'canary', step: 0 }, beganMs);
    this.#enter(version, watch);
    this.steps.push({ version, stage: 'canary', reason: 'enough_seen' });
  }

  readonly current = async (): Promise<RegisteredRollout | undefined> => {
    if (this.#at === undefined) return undefined;
    const isNew = this.challenger !== null && this.#isNew(this.challenger);
    const challenger = isNew && this.challenger !== null ? this.challenger : undefined;
    const { champion, isByHand } = this;
    const next = challenger === undefined ? null : { version: challenger, isByHand };
    return { ...this.#at, champion, challenger: next };
  };

  readonly begin = async (): Promise<void> => {
    const version = this.challenger;
    if (version === null || version === this.champion || !this.#isNew(version)) return;
    this.#enter(version, RolloutWatch.begin(PLAN, 'system:rollout', systemNow(), true));
    this.steps.push({ version, stage: 'shadow', reason: 'started' });
  };

  readonly move = async (from: Watched, { position, reason }: RolloutStep): Promise<number | null> => {
    const { stage } = position;
    this.steps.push({ version: from.version, stage, reason });
    if (stage === 'champion') this.champion = from.version;
    this.#at = isUnderWay(stage) ? { ...from, row: this.steps.length } : undefined;
    return this.steps.length;
  };

  #isNew(version: string): boolean {
    return !this.steps.some((step) => step.version === version);
  }

  #enter(version: string, { record }: RolloutWatch): void {
    const row = this.steps.length + 1;
    this.#at = { row, model: 'm', rollout: `of ${version}`, version, base: this.champion, record };
  }
}

/** An object of the test on the storage of the platform's, which has nothing in memory. */
async function watching(
  name: string,
  registry: Registry,
  use: (object: Rollouts) => Promise<void>,
): Promise<void> {
  await runInDurableObject(env.ROLLOUTS.getByName(name), async (_, state) => {
    await use(new Rollouts(state, env, registry));
    // The object of the platform would go on with what the test has kept.
    await state.storage.deleteAlarm();
  });
}

const requests = (n: number) => ({ requests: n, errors: 0, slow: 0, scores: [] });
const seen = (version: string) => ({
  ...{ rollout: `of ${version}`, champion: requests(20), canary: requests(20) },
});
/** Trials of the champion and half as many of the new version, with a miss in three: enough to exclude a bad one. */
const LABELS = [[60, 20, 30, 10]];
/** So many as the step waits for at least, and too few to exclude a version that misses much more. */
const FEW_LABELS = [[20, 7, 5, 2]];

describe('the object that watches a rollout', () => {
  it('takes labels although it does not know the rollout yet', async () => {
    const registry = new Registry();
    registry.inCanary('v2');
    await watching('labels', registry, async (object) => {
      await object.labelled('m', 'of v2', LABELS);
      await object.report('m', seen('v2'));
      await object.alarm();
      expect(registry.steps.at(-1)).toEqual({ version: 'v2', stage: 'champion', reason: 'enough_seen' });
    });
  });

  it('drops labels of a rollout that is over', async () => {
    const registry = new Registry();
    registry.inCanary('v2');
    await watching('over', registry, async (object) => {
      await object.labelled('m', 'of v0', LABELS);
      await object.report('m', seen('v2'));
      await object.alarm();
      expect((await object.live())?.record.labelled).toEqual({ champion: 0, canary: 0 });
    });
  });

  it('lets a canary without labels give way to a newer challenger, whose rollout begins at once', async () => {
    const registry = new Registry();
    registry.inCanary('v2', systemNow() - LONG_AGO_MS);
    await watching('gives-way', registry, async (object) => {
      await object.wake('m');
      await object.report('m', seen('v2'));
      await object.alarm();
      expect(registry.steps).toHaveLength(1);
      registry.challenger = 'v3';
      await object.wake('m');
      await object.alarm();
      expect(registry.steps.slice(1)).toEqual([
        { version: 'v2', stage: 'rolled_back', reason: 'overtaken' },
        { version: 'v3', stage: 'shadow', reason: 'started' },
      ]);
      expect((await object.live())?.rollout).toBe('of v3');
    });
  });

  it('lets it give way at once to a version that a person has named', async () => {
    const registry = new Registry();
    registry.inCanary('v2');
    registry.challenger = 'v3';
    registry.isByHand = true;
    await watching('by-hand', registry, async (object) => {
      await object.wake('m');
      await object.alarm();
      expect(registry.steps.slice(1)).toEqual([
        { version: 'v2', stage: 'rolled_back', reason: 'overtaken' },
        { version: 'v3', stage: 'shadow', reason: 'started' },
      ]);
    });
  });

  it('waits in its last share until its labels exclude a bad version', async () => {
    const registry = new Registry();
    registry.inCanary('v2');
    await watching('undecided', registry, async (object) => {
      await object.report('m', seen('v2'));
      await object.labelled('m', 'of v2', FEW_LABELS);
      await object.alarm();
      expect(registry.steps).toHaveLength(1);
      await object.labelled('m', 'of v2', LABELS);
      await object.alarm();
      expect(registry.steps.at(-1)).toEqual({ version: 'v2', stage: 'champion', reason: 'enough_seen' });
    });
  });

  it('lets a canary that has had less of its time go on', async () => {
    const registry = new Registry();
    registry.inCanary('v2');
    registry.challenger = 'v3';
    await watching('goes-on', registry, async (object) => {
      await object.wake('m');
      await object.report('m', seen('v2'));
      await object.alarm();
      expect(registry.steps).toHaveLength(1);
      await object.labelled('m', 'of v2', LABELS);
      await object.alarm();
      // The next one begins with the end of this one, against the new champion.
      expect(registry.steps.slice(1)).toEqual([
        { version: 'v2', stage: 'champion', reason: 'enough_seen' },
        { version: 'v3', stage: 'shadow', reason: 'started' },
      ]);
    });
  });

  it('ends a canary that has seen no labels in its longest time, with the reason', async () => {
    const registry = new Registry();
    registry.inCanary('v2', systemNow() - 2 * LONG_AGO_MS);
    await watching('ends', registry, async (object) => {
      await object.wake('m');
      await object.report('m', seen('v2'));
      await object.alarm();
      expect(registry.steps.at(-1)).toEqual({ version: 'v2', stage: 'rolled_back', reason: 'few_labels' });
      expect(await object.live()).toBeNull();
    });
  });
});

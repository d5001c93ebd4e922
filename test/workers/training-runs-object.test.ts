import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { TrainingRuns } from '../../durable-objects/training-runs/object.ts';
import { inStage, type TrainingRun } from '../../src/training/runs/run.ts';
import { ranker } from '../support/catalog/models.ts';

/** A runner that is never asked for a step, and what it told lineage. */
class Runner {
  readonly told: TrainingRun[] = [];
  readonly removed: string[] = [];
  /** Deletes what is kept of a run. */
  kept: (run: string) => Promise<void> = async () => undefined;
  newestSeq: () => Promise<number> = async () => 7;
  fails = false;
  /** What a step makes of a run. */
  stepped: (run: TrainingRun) => TrainingRun = (run) => run;
  readonly step = async (run: TrainingRun) => ({ run: this.stepped(run), waitMs: 60_000 });
  readonly keep = async (run: TrainingRun) => run;
  readonly end = async (run: TrainingRun) => run;
  readonly forget = () => undefined;
  readonly cancelled = async (run: TrainingRun) => {
    this.told.push(run);
    if (this.fails) throw new Error('The database does not answer.');
  };
}

async function training(
  name: string,
  runner: Runner,
  use: (object: TrainingRuns) => Promise<void>,
): Promise<void> {
  await runInDurableObject(env.TRAINING_RUNS.getByName(name), async (_, state) => {
    const object = new TrainingRuns(state, env, {
      ...{ models: [ranker], runner: () => runner, labelEvents: async () => 0 },
      newestSeq: () => runner.newestSeq(),
      removed: () => ({
        dataset: async (id) => void runner.removed.push(id),
        kept: (id) => runner.kept(id),
      }),
    });
    await use(object);
    await state.storage.deleteAlarm();
  });
}

describe('a training run that is asked for while the database hangs', () => {
  it('has not begun once its caller is told so, and begins with the next call', async () => {
    const runner = new Runner();
    const late = Promise.withResolvers<number>();
    runner.newestSeq = () => late.promise;
    await training('hangs', runner, async (object) => {
      await expect(object.begin('ranker', 'hand', 'key:a')).rejects.toThrow(/no run has begun/);
      late.resolve(7);
      await late.promise;
      expect(await object.list(null, 10)).toEqual([]);
      runner.newestSeq = async () => 7;
      const { run } = await object.begin('ranker', 'hand', 'key:a');
      expect(run).toMatchObject({ state: 'queued', lastSeq: 7 });
    });
  });
});

describe('a training run that is cancelled', () => {
  it('has ended in lineage at once, and is another run there once it is resumed', async () => {
    const runner = new Runner();
    await training('cancelled', runner, async (object) => {
      const { run } = await object.begin('ranker', 'hand', 'key:a');
      const id = run?.id ?? '';
      expect(await object.cancel(id, 'key:a')).toMatchObject({ state: 'cancelled' });
      await expect.poll(() => runner.told).toMatchObject([{ id, state: 'cancelled' }]);
      // A second request changes nothing, and tells nothing.
      await object.cancel(id, 'key:b');
      const resumed = await object.resume(id);
      expect(resumed.run).toMatchObject({ id, state: 'queued', lineage: expect.any(String) });
      expect(resumed.run?.lineage).not.toBe(id);
      await object.cancel(id, 'key:a');
      await expect.poll(() => runner.told).toHaveLength(2);
      expect(runner.told[1]?.lineage).toBe(resumed.run?.lineage);
    });
  });

  it.each(['dataset', 'training'] as const)(
    'in the stage %s lets go of a dataset that is not made yet',
    async (stage) => {
      const runner = new Runner();
      runner.stepped = (run) => ({ ...inStage(run, stage), dataset: { id: 'd', digest: null } });
      await training(`cancelled-${stage}`, runner, async (object) => {
        const { run } = await object.begin('ranker', 'hand', 'key:a');
        const id = run?.id ?? '';
        await object.alarm();
        expect(await object.cancel(id, 'key:a')).toMatchObject({ state: 'cancelled', stage });
        await expect.poll(() => runner.told).toHaveLength(1);
        expect(runner.removed).toEqual(stage === 'dataset' ? ['d'] : []);
      });
    },
  );

  it('is cancelled although lineage does not answer', async () => {
    const runner = new Runner();
    runner.fails = true;
    await training('untold', runner, async (object) => {
      const { run } = await object.begin('ranker', 'hand', 'key:a');
      const id = run?.id ?? '';
      await object.cancel(id, 'key:a');
      await expect.poll(() => runner.told).toHaveLength(1);
      expect((await object.read(id))?.state).toBe('cancelled');
    });
  });
});

describe('what is kept of a training run that has ended', () => {
  it('is deleted once it is old, and the run begins with its dataset if it is resumed', async () => {
    const runner = new Runner();
    const deleted: string[] = [];
    runner.stepped = (run) => ({
      ...inStage(run, 'evaluation'),
      isKept: true,
      dataset: { id: 'd', digest: 'e' },
    });
    await training('retention', runner, async (object) => {
      const { run } = await object.begin('ranker', 'hand', 'key:a');
      const id = run?.id ?? '';
      await object.alarm();
      const later = Date.now() + 1_000_000;
      // It is under way, and needs its dataset.
      expect([await object.expire(later), await object.needed(['c', 'd'])]).toEqual([[], ['d']]);
      await object.cancel(id, 'key:a');
      expect(await object.needed(['c', 'd'])).toEqual(['d']);
      expect(await object.expire(0)).toEqual([]);
      let resumed: unknown;
      runner.kept = async (of) => {
        deleted.push(of);
        // Somebody resumes it while its files are being deleted.
        resumed = await object.resume(id);
      };
      expect(await object.expire(later)).toEqual([(await object.read(id))?.endedMs]);
      expect([deleted, resumed]).toEqual([[id], { run: null, why: 'active' }]);
      expect(await object.read(id)).toMatchObject({ state: 'cancelled', stage: 'dataset', isKept: false });
      expect([await object.expire(later), await object.needed(['d'])]).toEqual([[], []]);
      expect((await object.resume(id)).run).toMatchObject({ state: 'dataset', dataset: { id: 'd' } });
      await object.cancel(id, 'key:a');
    });
  });

  it('is there still if R2 does not answer, and is deleted by a later call', async () => {
    const runner = new Runner();
    runner.stepped = (run) => ({ ...inStage(run, 'training'), isKept: true });
    await training('retention-fails', runner, async (object) => {
      const { run } = await object.begin('ranker', 'hand', 'key:a');
      const id = run?.id ?? '';
      await object.alarm();
      await object.cancel(id, 'key:a');
      runner.kept = async () => {
        throw new Error('R2 does not answer.');
      };
      await expect(object.expire(Date.now() + 1_000_000)).rejects.toThrow('R2 does not answer.');
      expect(await object.read(id)).toMatchObject({ isKept: true });
      runner.kept = async () => undefined;
      expect(await object.expire(Date.now() + 1_000_000)).toHaveLength(1);
    });
  });
});

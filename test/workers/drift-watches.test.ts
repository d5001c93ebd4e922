import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { DriftWatches, type DriftWatchesPorts } from '../../durable-objects/drift-watches/object.ts';
import { SCORE } from '../../src/inference/observed-rows.ts';
import { r2Profiles } from '../../src/storage/drift-profiles.ts';
import type { DriftProfile } from '../../src/training/drift/profile.ts';

const COLUMNS = ['x', SCORE];
/** Half of the rows have 0, the others 1; a row in a hundred has no value. */
const PROFILE: DriftProfile = {
  ...{ format: 1, model: 'm', version: 'v1', falseAlarmRows: 10_000, threshold: 4 },
  windows: { bucketRows: 25, buckets: [2, 8, 40] },
  reference: {
    rows: 2_000,
    columns: COLUMNS.map((name) => ({ name, borders: [0.5, 3e38], counts: [990, 990, 20] })),
  },
};
const usual = (count: number) => Array.from({ length: count }, (_, at) => [at % 2, at % 2]);
const drifted = (count: number) => Array.from({ length: count }, () => [1, 1]);

class Ports implements DriftWatchesPorts {
  readonly asked: string[] = [];
  trains = true;
  answers: (() => { run: string | null; why: string | null })[] = [];
  looked = 0;

  readonly profile = async (_: string, version: string) => {
    this.looked += 1;
    return version === 'v1' || version === 'v2' ? { ...PROFILE, version } : undefined;
  };
  readonly trainsOnDrift = () => this.trains;
  readonly train = async (model: string) => {
    this.asked.push(model);
    return this.answers.shift()?.() ?? { run: 'run-1', why: null };
  };
}

/** An object with ports of the test, on the storage of the platform's. */
async function watching(
  name: string,
  ports: Ports,
  use: (object: DriftWatches) => Promise<void>,
): Promise<void> {
  await runInDurableObject(env.DRIFT_WATCHES.getByName(name), async (_, state) => {
    await use(new DriftWatches(state, env, ports));
  });
}

describe('the object that watches a model', () => {
  it('asks for a training run when the rows drift, once', async () => {
    const ports = new Ports();
    await watching('asks', ports, async (object) => {
      for (let at = 0; at < 4; at += 1)
        expect(await object.observe('m', { version: 'v1', columns: COLUMNS, rows: usual(100) })).toBe(true);
      expect(ports.asked).toEqual([]);
      for (let at = 0; at < 4; at += 1)
        await object.observe('m', { version: 'v1', columns: COLUMNS, rows: drifted(50) });
      expect(ports.asked).toEqual(['m']);
      const [watched] = await object.report();
      expect(watched).toMatchObject({ version: 'v1', rows: 600, falseAlarmRows: 10_000, threshold: 4 });
      expect(watched?.drifts).toMatchObject([{ untilMs: null, training: { run: 'run-1', why: null } }]);
    });
  });

  it('notes why there is no run, and does not ask again at once', async () => {
    const ports = new Ports();
    ports.answers = [() => ({ run: null, why: 'debounced' })];
    await watching('debounced', ports, async (object) => {
      for (let at = 0; at < 5; at += 1)
        await object.observe('m', { version: 'v1', columns: COLUMNS, rows: drifted(50) });
      expect(ports.asked).toHaveLength(1);
      const [watched] = await object.report();
      expect(watched?.drifts).toMatchObject([{ training: { run: null, why: 'debounced' } }]);
    });
  });

  it('keeps counting while no run can be asked for', async () => {
    const ports = new Ports();
    const hangs = () => {
      throw new Error('does not answer');
    };
    ports.answers = [hangs];
    await watching('unavailable', ports, async (object) => {
      for (let at = 0; at < 2; at += 1)
        expect(await object.observe('m', { version: 'v1', columns: COLUMNS, rows: drifted(50) })).toBe(true);
      const [watched] = await object.report();
      expect([watched?.rows, watched?.drifts[0]?.training?.why]).toEqual([100, 'unavailable']);
    });
  });

  it('only shows the drift of a model that asks for no runs', async () => {
    const ports = new Ports();
    ports.trains = false;
    await watching('shows', ports, async (object) => {
      await object.observe('m', { version: 'v1', columns: COLUMNS, rows: drifted(100) });
      expect(ports.asked).toEqual([]);
      expect((await object.report())[0]?.drifts).toMatchObject([{ training: null }]);
    });
  });

  it('goes on after an eviction from the last verdict', async () => {
    const ports = new Ports();
    await watching('evicted', ports, async (object) => {
      await object.observe('m', { version: 'v1', columns: COLUMNS, rows: drifted(100) });
    });
    await watching('evicted', ports, async (object) => {
      await object.observe('m', { version: 'v1', columns: COLUMNS, rows: usual(10) });
      const [watched] = await object.report();
      expect([watched?.rows, watched?.drifts.length]).toEqual([110, 1]);
      expect(ports.asked).toHaveLength(1);
    });
  });

  it('watches no version without a profile, and looks for one once a minute', async () => {
    const ports = new Ports();
    await watching('unwatched', ports, async (object) => {
      for (let at = 0; at < 3; at += 1)
        expect(await object.observe('m', { version: 'v9', columns: COLUMNS, rows: usual(1) })).toBe(false);
      expect([ports.looked, await object.report()]).toEqual([1, []]);
    });
  });

  it('refuses rows that no isolate sends', async () => {
    await watching('refused', new Ports(), async (object) => {
      const rows = [[Number.POSITIVE_INFINITY, 0]];
      await expect(object.observe('m', { version: 'v1', columns: COLUMNS, rows })).rejects.toThrow();
    });
  });
});

it('a profile in R2 is found by model and version', async () => {
  const files = r2Profiles(env.MODELS);
  expect(await files.get('m', 'v1')).toBeUndefined();
  await files.put('m', 'v1', JSON.stringify(PROFILE));
  expect(JSON.parse((await files.get('m', 'v1')) ?? '')).toEqual(PROFILE);
  expect(await files.get('m', 'v2')).toBeUndefined();
});

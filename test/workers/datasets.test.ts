import { env, runInDurableObject } from 'cloudflare:test';
import { expect, it, vi } from 'vitest';
import { DatasetsStore } from '../../durable-objects/datasets/store.ts';
import { r2Datasets } from '../../src/storage/dataset-files.ts';
import { DatasetBuilder } from '../../src/training/datasets/build.ts';
import { DATASET_LIMITS } from '../../src/training/datasets/limits.ts';
import { datasetId } from '../../src/training/datasets/spec.ts';
import { makeDataset, specOf } from '../support/datasets/memory.ts';
import { ROOMS } from '../support/datasets/models.ts';
import { historyInMemory } from '../support/point-in-time/in-memory.ts';

const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2026, 10, 23, 12);
const never: Iterator<boolean> = { next: () => ({ done: false, value: false }) };
const events = Array.from({ length: 68 }, (_, index) => {
  const occurredAt = NOW - (480 - index * 7) * HOUR_MS;
  const data = { guests: [String((index % 3) + 1)], paid: index, room: String(((index * 7) % 3) + 1) };
  return { seq: index + 1, type: 'visit.v1', occurredAt, recordedAt: occurredAt, data };
});
const history = historyInMemory(events, never);
const spec = specOf(ROOMS, { asOf: NOW, from: null, to: null, knowledge: 'row', seed: 3 });

it('is made in the storage of an object and in R2 as in memory, also if memory is lost before each part', async () => {
  const limits = { ...DATASET_LIMITS, partTouchesMax: 25 };
  const expected = await makeDataset(ROOMS, spec, history, { limits });
  expect(expected.parts).toBe(3);
  const files = r2Datasets(env.MODELS);
  const ports = { models: [ROOMS], history, put: files.put, limits, codeVersion: 'test' };
  const id = datasetId(spec);
  await runInDurableObject(env.DATASETS.getByName('test'), async (_, state) => {
    const store = new DatasetsStore(state.storage);
    store.begin(id, spec, { score: 1 }, NOW);
    let builder = new DatasetBuilder(ports);
    let made = 0;
    for (let job = store.next()?.job; job !== undefined; job = new DatasetsStore(state.storage).next()?.job) {
      const { partsMade } = store.report(id)?.progress ?? { partsMade: 0 };
      if (partsMade > made) builder = new DatasetBuilder(ports);
      made = partsMade;
      await builder.step(
        job,
        store.of(id, () => NOW),
      );
    }
    expect(store.report(id)).toMatchObject({
      state: 'ready',
      failure: null,
      progress: { parts: 3, partsMade: 3 },
    });
    expect(JSON.parse(store.manifest(id) ?? '')).toEqual(expected.manifest);
    // The tallies are gone, and the files are there until the dataset is deleted.
    for (const table of ['keys', 'items'])
      expect(state.storage.sql.exec(`select count(*) as n from ${table}`).one()).toEqual({ n: 0 });
    for (const [name, bytes] of expected.files) {
      const kept = await new Response(await files.open(id, name)).arrayBuffer();
      expect(new Uint8Array(kept)).toEqual(bytes);
    }
    expect(store.beginDeleting(id)).toBe(true);
    expect(store.next()).toEqual({ id, job: undefined });
    expect(await files.removeSome(id)).toBe(false);
    store.remove(id);
    expect([store.reports(5), await files.open(id, 'train-00000.parquet')]).toEqual([[], undefined]);
  });
});

it('goes on at once when it is asked, if it was lost during an alarm', async () => {
  const stub = env.DATASETS.getByName('lost');
  const other = { ...spec, recipe: 'another' };
  const id = datasetId(other);
  await expect(
    runInDurableObject(stub, async (_, state) => {
      new DatasetsStore(state.storage).begin(id, other, null, NOW);
      await state.storage.setAlarm(Date.now() + 3_600_000);
      await state.storage.sync();
      state.abort('The test ends this object.');
    }),
  ).rejects.toThrow('The test ends this object.');
  await vi.waitUntil(
    async () => (await env.DATASETS.getByName('lost').read(id))?.report.failure?.code === 'recipe_changed',
    { timeout: 20_000, interval: 50 },
  );
  expect((await env.DATASETS.getByName('lost').read(id))?.report.failure?.detail).toMatch(/^The release /);
});

it('ends a download whose next piece R2 does not send, and no slow reader', async () => {
  const pieces = [new Uint8Array(3), new Uint8Array(4)];
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const piece = pieces.shift();
      if (piece === undefined) return new Promise(() => undefined);
      controller.enqueue(piece);
    },
  });
  const bucket = { ...env.MODELS, get: async () => ({ body }) as R2ObjectBody };
  const opened = await r2Datasets(bucket, 50).open('id', 'train-00000.parquet');
  const reader = opened?.getReader();
  expect((await reader?.read())?.value?.length).toBe(3);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect((await reader?.read())?.value?.length).toBe(4);
  await expect(reader?.read()).rejects.toThrow('The peer "artifacts" did not answer within 50 ms.');
});

it('is given to retention once it is old and nobody uses it, and not if somebody asks for it in between', async () => {
  const DAY_MS = 86_400_000;
  const old = { ...spec, recipe: 'retention' };
  const id = datasetId(old);
  const unknown = datasetId({ ...spec, recipe: 'never made' });
  await runInDurableObject(env.DATASETS.getByName('retention'), async (object, state) => {
    const store = new DatasetsStore(state.storage);
    store.begin(id, old, null, NOW);
    // It is being made.
    expect(await object.unused(NOW + 99 * DAY_MS)).toEqual([]);
    expect(await object.expire(id, NOW + 99 * DAY_MS)).toBe(false);
    store.fail(id, { code: 'dataset_empty', detail: '' }, NOW);
    expect(await object.unused(NOW)).toEqual([]);
    expect(await object.unused(NOW + 1)).toMatchObject([{ id, state: 'failed' }]);
    state.storage.sql.exec("update datasets set state = 'ready' where id = ?", id);
    expect(await object.unused(NOW + 1)).toMatchObject([{ id, state: 'ready' }]);
    // A run that is resumed asks for the same dataset.
    expect(await object.begin(old, 'null')).toMatchObject({ id, state: 'ready' });
    expect([await object.unused(NOW + 1), await object.expire(id, NOW + 1)]).toEqual([[], false]);
    const later = Date.now() + DAY_MS;
    expect(await object.expire(id, later)).toBe(true);
    expect(store.report(id)?.state).toBe('deleting');
    // A step that was interrupted asks again.
    expect([await object.expire(id, later), await object.expire(unknown, later)]).toEqual([true, true]);
    store.remove(id);
    await state.storage.deleteAlarm();
  });
});

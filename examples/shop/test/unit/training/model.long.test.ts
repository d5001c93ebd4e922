import { createHash } from 'node:crypto';
import * as ort from 'onnxruntime-web/wasm';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LocallyTrained } from '../../../../../scripts/models/local-run/run.ts';
import {
  candidatesFor,
  DAY_MS,
  parseCandidateTable,
  RANKER_COLUMNS,
  RANKER_WIDTH,
  rankerRows,
} from '../../../catalog/ranker.ts';
import { trainFromPurchases } from '../../../train.ts';
import { MIN_HISTORY_DAYS } from '../../../training/purchases.ts';
import { syntheticPurchases } from './shop.ts';

const shop = syntheticPurchases(400, 240, 1);
ort.env.wasm.numThreads = 1;

async function runRuntime(model: Uint8Array, features: Float32Array): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(model);
  const dims = [features.length / RANKER_WIDTH, RANKER_WIDTH];
  const { score } = await session.run({ features: new ort.Tensor('float32', features, dims) });
  expect(score?.dims).toEqual([dims[0], 1]);
  if (!(score?.data instanceof Float32Array)) throw new Error('The graph has no float32 output "score".');
  return score.data;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a, (value, at) => Math.abs(value - (b[at] ?? 0))).reduce((x, y) => Math.max(x, y), 0);
}

let trained: LocallyTrained;
beforeAll(async () => {
  trained = await trainFromPurchases(shop, { seed: 1 });
});

describe('a training run', () => {
  test('beats popularity and repetition where there is something to find', () => {
    const { evaluation } = trained.run;
    const { ranking, model, verdict, baseline } = evaluation ?? {};
    expect(verdict).toBe('better');
    expect(baseline?.name).toBe('repeats');
    const ndcg = (figures: typeof model) => figures?.['ndcg_at_10']?.value ?? 0;
    expect(ndcg(model)).toBeGreaterThan(1.5 * ndcg(ranking?.lists.popularity));
  });

  test('gives the same bytes for the same data and seed, whatever the order of arrival', async () => {
    const again = await trainFromPurchases(shop.toReversed(), { seed: 1 });
    expect(again.manifest.digest).toBe(trained.manifest.digest);
    expect(again.bundle.model).toEqual(trained.bundle.model);
    expect(again.bundle.candidates).toEqual(trained.bundle.candidates);
    expect(again.bundle.golden).toEqual(trained.bundle.golden);
    expect(again.run.evaluation).toEqual(trained.run.evaluation);
  });

  test('says when the history does not allow a model', async () => {
    const short = syntheticPurchases(20, MIN_HISTORY_DAYS - 1, 1);
    await expect(trainFromPurchases(short, { seed: 1 })).rejects.toThrow(
      /too short: training needs 140 days/,
    );
    await expect(trainFromPurchases([], { seed: 1 })).rejects.toThrow(/too short/);
  });
});

function artifacts() {
  const { model, candidates } = trained.bundle;
  if (model === undefined || candidates === undefined) throw new Error('An artifact is missing.');
  return { model, candidates };
}

describe('the bundle', () => {
  test('its manifest describes its bytes', () => {
    const digest = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');
    const { manifest } = trained.bundle;
    const { model, candidates } = artifacts();
    expect(manifest.model).toEqual({ sha256: digest(model), bytes: model.length });
    expect(manifest.candidates?.sha256).toBe(digest(candidates));
    const { new: ofNew, returning } = manifest.segments ?? {};
    expect([ofNew, returning]).toEqual(['popularity', 'model']);
    const version = digest(`${digest(model)}${digest(candidates)}segments:${ofNew},${returning}`);
    expect(manifest.version).toBe(version.slice(0, 12));
    expect(manifest.inputs).toEqual([
      { name: 'features', datatype: 'FP32', shape: [-1, RANKER_WIDTH], columns: [...RANKER_COLUMNS] },
    ]);
    expect(manifest.trainedFrom['digest']).toBe(trained.manifest.digest);
  });

  test('its candidates pass the check at the trust boundary', () => {
    const table = parseCandidateTable(JSON.parse(new TextDecoder().decode(artifacts().candidates)));
    expect(table.popular.length).toBeGreaterThan(100);
  });

  test('the runtime reproduces the golden scores', async () => {
    const { inputs, outputs, tolerance } = trained.bundle.golden;
    const rows = (inputs['features'] as number[][]).flat();
    const scores = await runRuntime(artifacts().model, Float32Array.from(rows));
    const golden = (outputs['score'] as number[][]).flat();
    expect(golden.length).toBeGreaterThan(3);
    expect(largestDifference(scores, golden)).toBeLessThan(tolerance);
  });

  test('serving scores every candidate of the shipped table', async () => {
    const table = parseCandidateTable(JSON.parse(new TextDecoder().decode(artifacts().candidates)));
    const now = table.asOf + DAY_MS;
    const [popular] = table.popular;
    const items = [{ item: popular?.sku ?? '', count: 2, lastAt: table.asOf - DAY_MS }];
    const snapshot = { purchases_30d: 2, purchases_365d: 2, last_purchase_at: table.asOf - DAY_MS, items };
    const skus = candidatesFor(snapshot, table);
    const scores = await runRuntime(artifacts().model, rankerRows(snapshot, skus, table, now));
    expect(scores.length).toBe(skus.length);
    expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
  });
});

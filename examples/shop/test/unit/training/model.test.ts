import { createHash } from 'node:crypto';
import * as ort from 'onnxruntime-web/wasm';
import { beforeAll, describe, expect, test } from 'vitest';
import { nodeRuntime } from '../../../../../scripts/models/node-runtime.ts';
import {
  candidatesFor,
  DAY_MS,
  parseCandidateTable,
  RANKER_COLUMNS,
  RANKER_WIDTH,
  rankerRows,
} from '../../../catalog/ranker.ts';
import { MIN_HISTORY_DAYS } from '../../../training/dataset.ts';
import type { ModelBundle } from '../../../training/model.ts';
import { groupPurchases, snapshotAsOf } from '../../../training/purchases.ts';
import { type TrainingReport, trainRanker } from '../../../training/train.ts';
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

async function trained(): Promise<{ bundle: ModelBundle; report: TrainingReport }> {
  const outcome = await trainRanker(shop, { seed: 1, runtime: nodeRuntime });
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome;
}

let bundle: ModelBundle;
let report: TrainingReport;
beforeAll(async () => {
  ({ bundle, report } = await trained());
});

describe('a training run', () => {
  test('beats popularity where there is something to find', () => {
    const { model, popularity } = report.evaluation;
    expect(report.beatsPopularity).toBe(true);
    expect(model.ndcg_at_10).toBeGreaterThan(1.5 * popularity.ndcg_at_10);
  });

  test('gives the same bytes for the same data and seed, whatever the order of arrival', async () => {
    const again = await trainRanker(shop.toReversed(), { seed: 1, runtime: nodeRuntime });
    if (!again.ok) throw new Error(again.message);
    expect(again.bundle.model).toEqual(bundle.model);
    expect(again.bundle.candidates).toEqual(bundle.candidates);
    expect(again.bundle.manifest).toEqual(bundle.manifest);
    expect(again.bundle.golden).toEqual(bundle.golden);
  });

  test('another seed gives another version', async () => {
    const other = await trainRanker(shop, { seed: 2, runtime: nodeRuntime });
    expect(other.ok && other.bundle.manifest.version).not.toBe(bundle.manifest.version);
  });

  test('says when the history does not allow a model', async () => {
    const short = syntheticPurchases(20, MIN_HISTORY_DAYS - 1, 1);
    expect(await trainRanker(short, { seed: 1, runtime: nodeRuntime })).toMatchObject({
      ok: false,
      code: 'HISTORY_TOO_SHORT',
    });
    expect(await trainRanker([], { seed: 1, runtime: nodeRuntime })).toMatchObject({
      ok: false,
      code: 'HISTORY_TOO_SHORT',
    });
  });
});

describe('the bundle', () => {
  test('its manifest describes its bytes', () => {
    const digest = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');
    const { manifest } = bundle;
    expect(manifest.model).toEqual({ sha256: digest(bundle.model), bytes: bundle.model.length });
    expect(manifest.candidates.sha256).toBe(digest(bundle.candidates));
    expect(manifest.version).toBe(digest(manifest.model.sha256 + manifest.candidates.sha256).slice(0, 12));
    expect(manifest.inputs).toEqual([
      { name: 'features', datatype: 'FP32', shape: [-1, RANKER_WIDTH], columns: RANKER_COLUMNS },
    ]);
  });

  test('its candidates pass the check at the trust boundary', () => {
    const table = parseCandidateTable(JSON.parse(new TextDecoder().decode(bundle.candidates)));
    expect(table.popular.length).toBeGreaterThan(100);
  });

  test('the runtime reproduces the golden scores', async () => {
    const { inputs, outputs, tolerance } = bundle.golden;
    const scores = await runRuntime(bundle.model, Float32Array.from(inputs.features.flat()));
    expect(outputs.score.length).toBeGreaterThan(3);
    expect(largestDifference(scores, outputs.score.flat())).toBeLessThan(tolerance);
  });

  test('serving scores every candidate of the shipped table', async () => {
    const table = parseCandidateTable(JSON.parse(new TextDecoder().decode(bundle.candidates)));
    const [lines] = groupPurchases(shop).customers.values();
    const now = table.asOf + DAY_MS;
    const snapshot = snapshotAsOf(lines ?? [], now);
    const skus = candidatesFor(snapshot, table);
    const scores = await runRuntime(bundle.model, rankerRows(snapshot, skus, table, now));
    expect(scores.length).toBe(skus.length);
    expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
  });
});

import type { FeatureValue } from '../../../src/define/feature-value.ts';
import { model, type PredictionModel } from '../../../src/define/model.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import { type FeatureRow, readFeatures } from '../../../src/features/shards.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import type { Included } from '../../../src/inference/explain/include.ts';
import type { ObservedRow } from '../../../src/inference/observed-rows.ts';
import { type PredictPorts, predict } from '../../../src/inference/predict.ts';
import type { Tensor, TensorSignature, Tensors } from '../../../src/inference/tensors.ts';
import type { LineageFacts } from '../../../src/pipeline/lineage/recorder.ts';
import { DeadlinePassed } from '../../../src/platform/deadline.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { customer } from '../catalog/entities.ts';
import { lastPurchase, purchases } from '../catalog/features.ts';

/** Predictions by `predict` in a world of ports that a test declares, and a model with two columns. */
export const NOW = Date.UTC(2026, 10, 28, 12);
export const DAY_MS = 86_400_000;

export const inputs = {
  features: {
    columns: {
      bought: fromFeature(purchases.window(30), { default: -1 }),
      age: fromFeature(lastPurchase.ageDays(), { default: 999 }),
    },
  },
} as const;
export const described = { name: 'm', description: 'A model.', entity: customer };
export const regression = model.regression({ ...described, inputs, outputs: { value: 'v' } });

export const MANIFEST: Manifest = {
  name: 'm',
  version: '0123456789ab',
  model: { sha256: '0'.repeat(64), bytes: 1 },
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'v', datatype: 'FP32', shape: [-1, 1] }],
  metrics: {},
  baseline: {},
  trainedFrom: {},
};
export const float = (...values: number[]): Tensor => ({
  datatype: 'FP32',
  shape: [1, values.length],
  data: Float32Array.from(values),
});
export const present = (value: number | null): FeatureValue => ({ value, status: 'PRESENT', eventAt: NOW });

interface World {
  readonly manifest?: Manifest | null | Failure;
  readonly features?: FeatureRow | Error;
  readonly graphInputs?: readonly TensorSignature[];
  readonly run?: (given: Tensors) => Tensors;
  readonly load?: PredictPorts['load'];
  /** Whether the deadline passes before the work ends. */
  readonly isLate?: boolean;
  readonly isCurrent?: boolean;
  readonly isOff?: boolean;
  /** The version before the champion, and what it answers if it is in memory. */
  readonly previous?: Manifest;
  readonly previousRun?: (given: Tensors) => Tensors;
}

export async function predicted(
  definition: PredictionModel,
  {
    manifest = MANIFEST,
    features = {},
    graphInputs = MANIFEST.inputs,
    run,
    load,
    isLate = false,
    isCurrent = true,
    isOff = false,
    previous,
    previousRun,
  }: World,
  request: Readonly<Record<string, unknown>> = {},
  include: readonly Included[] = [],
) {
  const told: LineageFacts[] = [];
  const watched: ({ version: string } & ObservedRow)[] = [];
  const calls = { champion: 0, features: 0, load: 0 };
  const kept: Promise<unknown>[] = [];
  const graph = {
    inputs: graphInputs,
    outputs: [],
    run: async (given: Tensors) => run?.(given) ?? { v: float(1) },
  };
  const answer = await predict(
    definition,
    { key: 'ada', request, pointerPrefix: '/request/', include },
    {
      champion: async () => {
        calls.champion += 1;
        if (manifest instanceof Failure) throw manifest;
        return manifest === null ? null : { manifest, isCurrent, previous: previous ?? null };
      },
      load: async (of) => {
        calls.load += 1;
        return (await load?.(of)) ?? { manifest: of, graph, candidates: undefined };
      },
      loaded: (of) => {
        if (of !== previous || previousRun === undefined) return undefined;
        const ran = { ...graph, run: async (given: Tensors) => previousRun(given) };
        return { manifest: of, graph: ran, candidates: undefined };
      },
      features: (entity, keys, now) =>
        readFeatures(entity, keys, now, {
          read: async () => {
            calls.features += 1;
            if (features instanceof Error) throw features;
            return [features];
          },
        }),
      isOff: () => isOff,
      now: () => NOW,
      newId: () => 'id-1',
      predicted: (facts) => told.push(facts),
      watched: (_, version, row) => watched.push({ version, ...row() }),
      deadline: {
        within: async (work) => {
          if (!isLate) return await work;
          // Whatever does not hang has been read by then.
          await new Promise((resolve) => setImmediate(resolve));
          throw new DeadlinePassed('The time has passed.');
        },
      },
      keepAlive: (work) => kept.push(work),
      explaining: { charge: async () => undefined, pause: async () => undefined },
    },
  );
  return { ...answer, told, watched, kept, calls };
}

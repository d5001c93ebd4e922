/** A training run of the worker, in this process: the same stages, rows, recipes and evaluation, from events in memory. */
import { randomUUID } from 'node:crypto';
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { HistoryPort } from '../../../src/features/join-history.ts';
import type { Bundle } from '../../../src/inference/bundle.ts';
import { Evaluator } from '../../../src/inference/evaluator/evaluator.ts';
import { VERSION } from '../../../src/platform/version.ts';
import { DatasetBuilder } from '../../../src/training/datasets/build.ts';
import { DATASET_LIMITS } from '../../../src/training/datasets/limits.ts';
import type { DatasetManifest } from '../../../src/training/datasets/manifest.ts';
import type { DatasetReport } from '../../../src/training/datasets/report.ts';
import { type DatasetSpec, datasetId } from '../../../src/training/datasets/spec.ts';
import type { DriftProfile } from '../../../src/training/drift/profile.ts';
import { rankingFrom } from '../../../src/training/rankings/moments.ts';
import type { LoadedVersion, RunnerPorts } from '../../../src/training/runs/ports.ts';
import { inStage, isEnded, newRun, type TrainingRun } from '../../../src/training/runs/run.ts';
import { TrainingRunner } from '../../../src/training/runs/runner.ts';
import { writtenGraphOf } from '../../../src/training/runs/stages.ts';
import { nodeRuntime } from '../node-runtime.ts';
import { MemoryStore } from './store.ts';

/** A process has more memory than an isolate. Of fewer parts each reads history less often; the rows are the same. */
const LIMITS = {
  ...DATASET_LIMITS,
  ...{
    partRowsMax: 2_000_000,
    partValuesMax: 40_000_000,
    partTouchesMax: 2_000_000,
    partCellsMax: 4_000_000,
  },
};

export interface LocalTraining {
  readonly definition: ModelDefinition;
  readonly history: HistoryPort;
  /** When the first and the last label event happened; the snapshot is as of the last. Milliseconds since the Unix epoch. */
  readonly from: number;
  readonly to: number;
  readonly seed: number;
  /** A version that the new one is compared with; by default none. */
  readonly champion?: Bundle;
  /** Called after each step. */
  readonly tell?: (run: TrainingRun) => void;
  /** Takes the profile of the version's drift, which takes some seconds to compute. */
  readonly keepProfile?: (profile: DriftProfile) => void;
}

export interface LocallyTrained {
  readonly bundle: Bundle;
  readonly run: TrainingRun;
  readonly manifest: DatasetManifest;
}

/**
 * Trains a model as the worker does, without its gates and its registry: whoever calls decides on what the
 * evaluation says. The same history and seed give the same artifacts.
 *
 * @throws Error with the reason if the history does not allow a model.
 */
export async function trainLocally(training: LocalTraining): Promise<LocallyTrained> {
  const { definition, from, to, seed, tell = () => undefined } = training;
  const services = new LocalServices(training);
  const runner = new TrainingRunner(services.ports);
  const begun = newRun({
    ...{ id: randomUUID(), model: definition.name, reason: 'hand', by: 'npm run train' },
    ...{ begunMs: Date.now(), asOf: to, lastSeq: 0, seed },
  });
  let run = inStage({ ...begun, from: rankingFrom(definition, { from, to }, to) }, 'dataset');
  while (!isEnded(run)) {
    run = (await runner.step(run)).run;
    tell(run);
  }
  const { bundle, manifest } = services;
  if (run.state !== 'done' || bundle === undefined || manifest === undefined)
    throw new Error(run.failure?.detail ?? `The training ended as ${run.state}.`);
  return { bundle, run, manifest };
}

/** What a run needs of others, in memory. */
class LocalServices {
  bundle: Bundle | undefined;
  manifest: DatasetManifest | undefined;
  readonly #training: LocalTraining;
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #kept = new Map<string, Uint8Array<ArrayBuffer>>();

  constructor(training: LocalTraining) {
    this.#training = training;
  }

  get ports(): RunnerPorts {
    const { definition, history, keepProfile, champion } = this.#training;
    return {
      ...{ models: [definition], now: Date.now, pause: async () => undefined, codeVersion: VERSION, history },
      measure: () => Promise.reject(new Error('A local run has no gates.')),
      datasets: {
        begin: (spec) => this.#makeDataset(spec),
        read: async () =>
          this.manifest === undefined
            ? null
            : { report: reportOf(this.manifest.spec), manifest: this.manifest },
        remove: async () => undefined,
        file: async (_, name) => this.#files.get(name),
      },
      kept: {
        put: async (_, name, bytes) => void this.#kept.set(name, bytes),
        get: async (_, name) => this.#kept.get(name),
        remove: async () => this.#kept.clear(),
      },
      runtime: nodeRuntime,
      load: async (bytes) => evaluated(definition, bytes),
      registry: {
        champion: async () => champion?.manifest,
        artifact: async (sha256) =>
          sha256 === champion?.manifest.model.sha256 ? champion.model : champion?.candidates,
        register: async (_, bundle) => {
          this.bundle = bundle;
        },
        challenge: async () => false,
      },
      keepProfile: keepProfile && (async (profile) => keepProfile(profile)),
      lineage: { began: async () => undefined, ended: async () => undefined },
    };
  }

  async #makeDataset(spec: DatasetSpec): Promise<DatasetReport> {
    const { definition, history } = this.#training;
    const builder = new DatasetBuilder({
      ...{ models: [definition], history, limits: LIMITS, codeVersion: VERSION },
      put: async (_, name, bytes) => void this.#files.set(name, bytes),
    });
    // Events that are in memory were not scored.
    const store = new MemoryStore(spec, null);
    while (await builder.step(store.job, store));
    this.manifest = store.manifest;
    return reportOf(spec);
  }
}

function reportOf(spec: DatasetSpec): DatasetReport {
  return {
    ...{ id: datasetId(spec), spec, state: 'ready', begunMs: 0, endedMs: 0, failure: null },
    progress: { labelEvents: 0, parts: 0, partsMade: 0, rows: 0, bytes: 0 },
  };
}

/** What a trainer here writes is a graph that TypeScript computes. */
function evaluated(definition: ModelDefinition, bytes: Uint8Array): LoadedVersion {
  const { input, output, columns } = writtenGraphOf(definition);
  const signature = {
    inputs: [{ name: input, datatype: 'FP32' as const, shape: [-1, columns.length] }],
    outputs: [{ name: output, datatype: 'FP32' as const, shape: [-1, 1] }],
  };
  const evaluator = Evaluator.read(bytes, signature);
  return { run: (inputs, outputs) => evaluator.run(inputs, outputs), release: () => undefined };
}

/** A training run in workerd with the services around it in memory. */
import { expect } from 'vitest';
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { HistoryPort } from '../../../src/features/join-history.ts';
import type { Bundle, Manifest } from '../../../src/inference/bundle.ts';
import { OnnxRuntime } from '../../../src/inference/onnx/runtime.ts';
import type { DatasetLimits } from '../../../src/training/datasets/limits.ts';
import { datasetId } from '../../../src/training/datasets/spec.ts';
import type { DriftProfile } from '../../../src/training/drift/profile.ts';
import type { RunFigures, RunnerPorts } from '../../../src/training/runs/ports.ts';
import { isEnded, type TrainingRun } from '../../../src/training/runs/run.ts';
import { TrainingRunner } from '../../../src/training/runs/runner.ts';
import { type Made, makeDataset, specOf } from '../datasets/memory.ts';

const DAY_MS = 86_400_000;

export interface Around {
  readonly history: HistoryPort;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  readonly limits?: Partial<DatasetLimits>;
  readonly figures?: Partial<RunFigures>;
}

const FIGURES: Omit<RunFigures, 'history'> = {
  ...{ deadLetters: 0, waitingChanges: 3, kafkaLag: null, qualityMin: 0.95 },
  quality: { window: '24h', events: 400, score: 0.99 },
};

/** The services around a run, in memory, but for the ONNX runtime, which is the worker's own. */
export class RunServices {
  readonly runtime = new OnnxRuntime(64 * 1024 * 1024);
  readonly kept = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly profiles: DriftProfile[] = [];
  readonly registered: Bundle[] = [];
  readonly ended: TrainingRun[] = [];
  /** Calls of the services by name: pages of history, files of the dataset, and what is kept. */
  readonly calls = { history: 0, file: 0, put: 0, get: 0 };
  challenger: string | undefined;
  champion:
    | { readonly manifest: Manifest; readonly artifacts: ReadonlyMap<string, Uint8Array<ArrayBuffer>> }
    | undefined;
  readonly #definition: ModelDefinition;
  readonly #made: Promise<Made>;
  readonly #figures: RunFigures;
  readonly #around: Around;

  constructor(definition: ModelDefinition, around: Around) {
    this.#definition = definition;
    this.#around = around;
    const { now, history, limits = {}, figures = {} } = around;
    this.#figures = {
      ...FIGURES,
      history: { from: now - 20 * DAY_MS, to: now, knownFrom: now - 20 * DAY_MS },
      ...figures,
    };
    const spec = specOf(definition, { asOf: now, from: null, to: null, knowledge: 'row', seed: 1 });
    this.#made = makeDataset(definition, spec, history, { limits });
    this.#made.catch(() => undefined);
  }

  get ports(): RunnerPorts {
    const { history, now: begunMs } = this.#around;
    let now = begunMs;
    const report = async (id: string) => ({
      ...{ id, spec: (await this.#made).manifest.spec, state: 'ready' as const, begunMs, endedMs: begunMs },
      ...{ failure: null, progress: { labelEvents: 0, parts: 1, partsMade: 1, rows: 0, bytes: 0 } },
    });
    return {
      ...{ models: [this.#definition], now: () => now++, pause: async () => undefined, codeVersion: 'test' },
      measure: async () => this.#figures,
      datasets: {
        begin: async (spec) => await report(datasetId(spec)),
        read: async (id) => ({ report: await report(id), manifest: (await this.#made).manifest }),
        remove: async () => undefined,
        file: async (_, name) => {
          this.calls.file += 1;
          return (await this.#made).files.get(name);
        },
      },
      kept: {
        put: async (_, name, bytes) => {
          this.calls.put += 1;
          this.kept.set(name, bytes);
        },
        get: async (_, name) => {
          this.calls.get += 1;
          return this.kept.get(name);
        },
        remove: async () => this.kept.clear(),
      },
      history: {
        ...history,
        read: async (range, page) => {
          this.calls.history += 1;
          return await history.read(range, page);
        },
      },
      runtime: { load: (bytes) => this.runtime.load(Uint8Array.from(bytes)) },
      load: this.runtime.load,
      keepProfile: async (profile) => void this.profiles.push(profile),
      registry: {
        champion: async () => this.champion?.manifest,
        artifact: async (sha256) => this.champion?.artifacts.get(sha256),
        register: async (_, bundle) => void this.registered.push(bundle),
        challenge: async (_, version) => {
          this.challenger = version;
          return true;
        },
      },
      lineage: {
        began: async () => undefined,
        ended: async (run) => void this.ended.push(run),
      },
    };
  }
}

/** The artifacts of a version that a run registered, by their digests. */
export function artifactsOf({
  manifest,
  model,
  candidates,
}: Bundle): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  const all = [
    [manifest.model.sha256, model],
    [manifest.candidates?.sha256, candidates],
  ] as const;
  return new Map(all.flatMap(([sha256, bytes]) => (sha256 && bytes ? [[sha256, bytes]] : [])));
}

/** Takes a run to its end. @param lostAt stages with what is done of them, at each of which all memory is lost once. */
export async function finishedRun(
  begun: TrainingRun,
  services: RunServices,
  lostAt: readonly string[] = [],
): Promise<TrainingRun> {
  let run = begun;
  let runner = new TrainingRunner(services.ports);
  const left = new Set(lostAt);
  while (!isEnded(run)) {
    if (left.delete(`${run.stage} ${run.progress.done}`)) {
      run = await runner.keep(run);
      runner = new TrainingRunner(services.ports);
    }
    // As from the disk.
    run = (await runner.step(JSON.parse(JSON.stringify(run)))).run;
  }
  expect(left).toEqual(new Set());
  return run;
}

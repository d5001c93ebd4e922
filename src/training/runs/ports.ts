import type { ModelDefinition } from '../../define/model.ts';
import type { HistoryPort } from '../../features/join-history.ts';
import type { Bundle, Manifest } from '../../inference/bundle.ts';
import type { Session } from '../../inference/graph.ts';
import type { DatasetManifest } from '../datasets/manifest.ts';
import type { DatasetReport } from '../datasets/report.ts';
import type { DatasetSpec } from '../datasets/spec.ts';
import type { DriftProfile } from '../drift/profile.ts';
import type { TrainingRuntime } from '../onnx/runtime.ts';
import type { PipelineFigures } from './gates.ts';
import type { TrainingRun } from './run.ts';

/** The least score of the quality gate is the pipeline's own. */
export interface RunFigures extends PipelineFigures {
  readonly qualityMin: number;
}

/** A version whose answers come at once. */
export type LoadedVersion = Pick<Session, 'run' | 'release'>;

/** What a run needs of others. Each call has a deadline, and may be repeated. */
export interface RunnerPorts {
  readonly models: readonly ModelDefinition[];
  readonly now: () => number;
  /** Lets the clock of the platform advance, which stands still while code runs. */
  readonly pause: () => Promise<void>;
  readonly codeVersion: string;
  /** @param asOf the moment of the snapshot: what was stored later is no history of it. */
  readonly measure: (definition: ModelDefinition, asOf: number) => Promise<RunFigures>;
  readonly datasets: {
    /** @returns null if there are too many. */
    readonly begin: (spec: DatasetSpec) => Promise<DatasetReport | null>;
    readonly read: (
      id: string,
    ) => Promise<{ readonly report: DatasetReport; readonly manifest: DatasetManifest | null } | null>;
    readonly remove: (id: string) => Promise<unknown>;
    /** Undefined if it is gone. */
    readonly file: (id: string, name: string) => Promise<Uint8Array<ArrayBuffer> | undefined>;
  };
  /** What is kept of a run between two steps, by name. */
  readonly kept: {
    readonly put: (run: string, name: KeptName, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
    readonly get: (run: string, name: KeptName) => Promise<Uint8Array<ArrayBuffer> | undefined>;
    readonly remove: (run: string) => Promise<void>;
  };
  /** Of the label events, of which a ranking's candidates are made. */
  readonly history: HistoryPort;
  /** Runs the graphs of a training's steps. */
  readonly runtime: TrainingRuntime;
  /** Loads a version that answers the rows of the test. */
  readonly load: (bytes: Uint8Array<ArrayBuffer>) => Promise<LoadedVersion>;
  readonly registry: {
    readonly champion: (model: string) => Promise<Manifest | undefined>;
    readonly artifact: (sha256: string) => Promise<Uint8Array<ArrayBuffer> | undefined>;
    /**
     * Checks and registers a version. A version that is there stays as it is.
     *
     * @throws Failure `invalid_model`, `over_budget`; others are of peers.
     */
    readonly register: (definition: ModelDefinition, bundle: Bundle) => Promise<void>;
    /** @returns whether the alias names the version; false if somebody else changed it meanwhile, or withdrew the version. */
    readonly challenge: (model: string, version: string) => Promise<boolean>;
  };
  /** Keeps what a version's rows look like without drift; undefined where nothing watches it. */
  readonly keepProfile: ((profile: DriftProfile) => Promise<void>) | undefined;
  readonly lineage: {
    readonly began: (run: TrainingRun) => Promise<void>;
    readonly ended: (run: TrainingRun, made: TrainedVersion | undefined) => Promise<void>;
  };
}

export interface TrainedVersion {
  readonly version: string;
  readonly sha256: string;
  readonly trainingRows: number;
}

/**
 * - `checkpoint`: of a training. - `model`: the ONNX file of one that is done.
 * - Of a ranking: `candidates` as of the run, `candidates-<n>` as of its nth moment, and `repeats-<n>`, what each entity had
 *   taken most often by then.
 */
export type KeptName = 'checkpoint' | 'model' | 'candidates' | `candidates-${number}` | `repeats-${number}`;

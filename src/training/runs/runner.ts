import type { ModelDefinition } from '../../define/model.ts';
import type { Bundle } from '../../inference/bundle.ts';
import { Failure, isFailureCode, reasonOf } from '../../platform/failure.ts';
import type { DatasetManifest } from '../datasets/manifest.ts';
import { recipeDigest } from '../datasets/spec.ts';
import { type DriftProfile, profileSteps } from '../drift/profile.ts';
import { rankingFrom } from '../rankings/moments.ts';
import { TrainingRefused } from '../refusal.ts';
import {
  checkpointOf,
  finishTraining,
  resumeTraining,
  startTraining,
  stepTraining,
  type TrainingState,
} from '../run.ts';
import { bundleOf, metadataOf } from './bundle.ts';
import { CountedPorts } from './counted-ports.ts';
import { closedGates, gatesOf } from './gates.ts';
import type { Lesson, Piece, Pieces, Shown, StageWork } from './pieces.ts';
import type { RunnerPorts } from './ports.ts';
import { ended, inStage, type TrainingRun, withCost } from './run.ts';
import { assertRunnable } from './set.ts';
import { stagesOf, type WrittenGraph, writtenGraphOf } from './stages.ts';

/** How long a run waits before it asks again whether its dataset is ready, in milliseconds. */
const DATASET_MS = 1_000;
/** Failures of a dataset and of the registry that another attempt does not change. */
const REFUSED = new Set(['dataset_too_large', 'dataset_empty', 'recipe_changed', 'history_pruned']);
const FINAL = new Set(['invalid_model', 'over_budget']);

/** A run after a step, and how long to wait before the next one, in milliseconds. */
export interface Stepped {
  readonly run: TrainingRun;
  readonly waitMs: number;
}

/** What is in memory of the run that is under way. Without it, the stage begins again from what is kept. */
interface Open {
  readonly run: string;
  readonly stage: TrainingRun['stage'];
  readonly definition: ModelDefinition;
  readonly graph: WrittenGraph;
  readonly manifest: DatasetManifest;
  readonly work: StageWork;
  preparing?: Pieces<void>;
  learning?: Pieces<Lesson>;
  state?: TrainingState;
  /** Whether the state has steps that are not kept. */
  isAhead?: boolean;
  judging?: ReturnType<StageWork['judge']>;
  showing?: Pieces<Shown>;
  shown?: Shown;
  /** The version that is about to be registered. */
  prepared?: Prepared;
}

interface Prepared {
  readonly bundle: Bundle;
  readonly profiling: Generator<undefined, DriftProfile | undefined>;
}

/**
 * Takes runs on, one at a time, in bounded steps: a file that is read, a step of training, an interval of an evaluation, or a
 * call of another service. A step is given the run and returns it changed; whoever calls keeps it.
 */
export class TrainingRunner {
  readonly #ports: RunnerPorts;
  readonly #counted: CountedPorts;
  #open: Open | undefined;

  constructor(ports: RunnerPorts) {
    this.#counted = new CountedPorts(ports);
    this.#ports = this.#counted.ports;
  }

  /** Drops what is in memory. */
  forget(): void {
    const { preparing, learning, judging, showing } = this.#open ?? {};
    this.#open = undefined;
    // A stage that is left gives its graphs back.
    for (const left of [preparing, learning, judging, showing])
      void left?.return(undefined as never).catch(() => undefined);
  }

  /**
   * Does the next step of a run that is not over.
   *
   * @throws any error of a peer; the step can be repeated.
   */
  async step(run: TrainingRun): Promise<Stepped> {
    const { now, pause } = this.#ports;
    await pause();
    const startMs = now();
    const stepped = await this.#judged(run);
    await pause();
    const cost = { ...this.#counted.take(), steps: 1, busyMs: now() - startMs };
    const counted = withCost(stepped.run, cost);
    return { ...stepped, run: { ...counted, failures: 0 } };
  }

  /** Keeps the steps of training that are in memory alone. */
  async keep(run: TrainingRun): Promise<TrainingRun> {
    const open = this.#open;
    if (open?.run !== run.id || open.state === undefined || open.isAhead !== true) return run;
    const bytes = checkpointOf(open.state);
    await this.#ports.kept.put(run.id, 'checkpoint', bytes);
    open.isAhead = false;
    return withCost({ ...run, isKept: true }, this.#counted.take());
  }

  /** Ends a run, and what is kept of it unless it may be resumed. */
  async end(run: TrainingRun, state: 'refused' | 'failed', error: unknown): Promise<TrainingRun> {
    this.forget();
    const code = codeOf(error) ?? 'peer_failed';
    const detail =
      error instanceof Failure || error instanceof TrainingRefused ? error.message : reasonOf(error);
    const over = ended(run, state, this.#ports.now(), { code, detail: detail.slice(0, 1_000) });
    await this.#ports.lineage.ended(over, undefined);
    return over;
  }

  /** Tells lineage of a run that somebody has cancelled. @throws what lineage throws. */
  async cancelled(run: TrainingRun): Promise<void> {
    await this.#ports.lineage.ended(run, undefined);
  }

  async #judged(run: TrainingRun): Promise<Stepped> {
    try {
      return await this.#next(run);
    } catch (error) {
      if (error instanceof TrainingRefused) return { run: await this.end(run, 'refused', error), waitMs: 0 };
      const code = codeOf(error);
      if (code !== undefined && REFUSED.has(code))
        return { run: await this.end(run, 'refused', error), waitMs: 0 };
      if (code !== undefined && FINAL.has(code))
        return { run: await this.end(run, 'failed', error), waitMs: 0 };
      throw error;
    }
  }

  async #next(run: TrainingRun): Promise<Stepped> {
    switch (run.stage) {
      case 'queued':
        return await this.#begin(run);
      case 'dataset':
        return await this.#awaitDataset(run);
      case 'candidates':
        return { run: await this.#prepareStage(run), waitMs: 0 };
      case 'training':
        return { run: await this.#train(run), waitMs: 0 };
      case 'evaluation':
        return { run: await this.#evaluate(run), waitMs: 0 };
      case 'registration':
        return { run: await this.#register(run), waitMs: 0 };
    }
  }

  async #begin(run: TrainingRun): Promise<Stepped> {
    const definition = this.#definitionOf(run);
    writtenGraphOf(definition);
    await this.#ports.lineage.began(run);
    const figures = await this.#ports.measure(definition, run.asOf);
    const { historyDays, knowledge } = definition.retraining;
    const gates = gatesOf(figures, { historyDays, knowledge, qualityMin: figures.qualityMin });
    const closed = closedGates(gates);
    if (closed !== undefined) {
      const judged = { ...run, gates };
      return {
        run: await this.end(judged, 'refused', new TrainingRefused('gates_closed', closed)),
        waitMs: 0,
      };
    }
    const from = rankingFrom(definition, figures.history, run.asOf);
    return { run: inStage({ ...run, gates, from }, 'dataset'), waitMs: 0 };
  }

  async #awaitDataset(run: TrainingRun): Promise<Stepped> {
    const definition = this.#definitionOf(run);
    const { datasets } = this.#ports;
    const { dataset, retraining } = definition;
    if (dataset === undefined) throw new TrainingRefused('not_trainable', 'The model declares no dataset.');
    if (run.dataset === null) {
      const report = await datasets.begin({
        ...{ model: run.model, asOf: run.asOf, from: run.from, to: null, knowledge: retraining.knowledge },
        ...{ seed: run.seed, recipe: recipeDigest(definition, dataset) },
      });
      if (report === null)
        throw new Failure('too_many_datasets', 'There are too many datasets. Delete others.');
      return { run: { ...run, dataset: { id: report.id, digest: null } }, waitMs: 0 };
    }
    const found = await datasets.read(run.dataset.id);
    // Somebody deleted it: it is made again.
    if (found === null || found.report.state === 'deleting')
      return { run: { ...run, dataset: null }, waitMs: DATASET_MS };
    const { report, manifest } = found;
    if (report.failure !== null)
      throw Object.assign(new Error(report.failure.detail), { code: report.failure.code });
    if (manifest === null) {
      const { partsMade: done, parts: of } = report.progress;
      return { run: { ...run, progress: { done, of } }, waitMs: DATASET_MS };
    }
    const isRanking = definition.task === 'ranking';
    // A ranking samples its rows from those of the dataset.
    if (!isRanking) assertRunnable(manifest, writtenGraphOf(definition).columns.length);
    const made = { ...run, dataset: { id: run.dataset.id, digest: manifest.digest } };
    return { run: inStage(made, isRanking ? 'candidates' : 'training'), waitMs: 0 };
  }

  async #prepareStage(run: TrainingRun): Promise<TrainingRun> {
    const open = await this.#opened(run);
    if (open.work.prepare === undefined) return inStage(run, 'training');
    open.preparing ??= open.work.prepare();
    const { done, value } = await open.preparing.next();
    if (done !== true) return after(run, value);
    this.forget();
    return inStage({ ...run, isKept: false }, 'training');
  }

  async #train(run: TrainingRun): Promise<TrainingRun> {
    const open = await this.#opened(run);
    if (open.state === undefined) return await this.#startTraining(run, open);
    if (!open.state.isDone) {
      open.state = await stepTraining(open.state, this.#ports.runtime);
      open.isAhead = true;
      return { ...run, progress: progressOf(open.state) };
    }
    const { graph, manifest } = open;
    const model = finishTraining(open.state, metadataOf(graph, manifest.digest, run.seed), graph);
    await this.#ports.kept.put(run.id, 'model', model);
    this.forget();
    return inStage({ ...run, isKept: true }, 'evaluation');
  }

  /** Reads the set, then begins, or goes on from what is kept. */
  async #startTraining(run: TrainingRun, open: Open): Promise<TrainingRun> {
    open.learning ??= open.work.learn();
    const { done, value } = await open.learning.next();
    if (done !== true) return after(run, value);
    const { columns, meanLabel } = value;
    const kept = run.isKept ? await this.#ports.kept.get(run.id, 'checkpoint') : undefined;
    open.state =
      kept === undefined
        ? startTraining(open.definition.training, columns, run.seed)
        : resumeTraining(kept, columns);
    delete open.learning;
    return { ...run, meanLabel, progress: progressOf(open.state) };
  }

  async #evaluate(run: TrainingRun): Promise<TrainingRun> {
    const open = await this.#opened(run);
    open.judging ??= open.work.judge(await this.#keptModel(run));
    const { done, value } = await open.judging.next();
    if (done !== true) return after(run, value);
    // The rows that were judged are golden, too.
    const { run: id, definition, graph, manifest, work } = open;
    this.#open = {
      ...{ run: id, definition, graph, manifest, work },
      stage: 'registration',
      shown: value.shown,
    };
    return inStage({ ...run, evaluation: value.evaluation }, 'registration');
  }

  async #register(run: TrainingRun): Promise<TrainingRun> {
    const { registry, kept, lineage, keepProfile, now } = this.#ports;
    const open = await this.#opened(run);
    const { definition, manifest } = open;
    if (open.shown === undefined) {
      open.showing ??= open.work.show(await this.#keptModel(run));
      const { done, value } = await open.showing.next();
      if (done !== true) return after(run, value);
      open.shown = value;
    }
    open.prepared ??= await this.#prepare(run, open, open.shown);
    const { bundle, profiling } = open.prepared;
    const { done, value: profile } =
      keepProfile === undefined ? { done: true, value: undefined } : profiling.next();
    if (done !== true) return { ...run, progress: { done: run.progress.done + 1, of: 0 } };
    const { version, model: artifact } = bundle.manifest;
    // Before the version: one that answers without its profile would not be watched.
    if (profile !== undefined) await keepProfile?.(profile);
    await registry.register(definition, bundle);
    const trainingRows = manifest.rows.train;
    const isBetter = run.evaluation?.verdict === 'better';
    const isChallenger = isBetter && (await registry.challenge(run.model, version));
    const over = ended({ ...run, version, isChallenger, isKept: false }, 'done', now());
    await lineage.ended(over, { version, sha256: artifact.sha256, trainingRows });
    await kept.remove(run.id);
    this.forget();
    return over;
  }

  /** The version, and what is still to be computed of its profile. */
  async #prepare(run: TrainingRun, { definition, graph, manifest }: Open, shown: Shown): Promise<Prepared> {
    const { evaluation } = run;
    if (evaluation === null) throw new Error(`The run ${run.id} has no evaluation.`);
    const { codeVersion } = this.#ports;
    const model = await this.#keptModel(run);
    const trainingRows = manifest.rows.train;
    const bundle = await bundleOf({
      ...{ definition, graph, run, model, shown, evaluation, trainingRows, codeVersion },
    });
    const { set, answers: scores } = shown;
    const profiling = profileSteps({
      ...{ model: run.model, version: bundle.manifest.version, seed: run.seed, scores },
      ...{ falseAlarmRows: definition.retraining.falseAlarmRows, columns: set.columns },
      names: graph.columns,
    });
    return { bundle, profiling };
  }

  async #opened(run: TrainingRun): Promise<Open> {
    const open = this.#open;
    if (open?.run === run.id && open.stage === run.stage) return open;
    const definition = this.#definitionOf(run);
    const found = run.dataset && (await this.#ports.datasets.read(run.dataset.id));
    const manifest = found?.manifest;
    if (manifest == null || manifest.digest !== run.dataset?.digest)
      throw new TrainingRefused('dataset_gone', 'The dataset was deleted while the run used it.');
    const work = stagesOf(definition, run, manifest, this.#ports);
    const graph = writtenGraphOf(definition);
    const made: Open = { run: run.id, stage: run.stage, definition, graph, manifest, work };
    this.#open = made;
    return made;
  }

  async #keptModel(run: TrainingRun): Promise<Uint8Array<ArrayBuffer>> {
    const model = await this.#ports.kept.get(run.id, 'model');
    if (model === undefined) throw new TrainingRefused('invalid_checkpoint', 'The trained model is gone.');
    return model;
  }

  #definitionOf({ model }: TrainingRun): ModelDefinition {
    const definition = this.#ports.models.find(({ name }) => name === model);
    if (definition === undefined)
      throw new TrainingRefused('not_trainable', `The catalog has no model "${model}".`);
    return definition;
  }
}

function progressOf(state: TrainingState): TrainingRun['progress'] {
  return state.kind === 'trees'
    ? { done: state.trees.length, of: state.recipe.trees }
    : { done: state.losses.length, of: state.recipe.epochs };
}

/** The run after a piece of its stage. */
function after(run: TrainingRun, { cost = {}, progress = run.progress }: Piece): TrainingRun {
  return { ...withCost(run, cost), progress };
}

function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  if (typeof code !== 'string') return undefined;
  return error instanceof TrainingRefused || isFailureCode(code) ? code : undefined;
}

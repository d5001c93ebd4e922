/** The stages of a run of a regression or a classification: rows are judged one by one. */
import type { ModelDefinition } from '../../define/model.ts';
import type { DatasetManifest } from '../datasets/manifest.ts';
import type { Split } from '../datasets/spec.ts';
import { TrainingRefused } from '../refusal.ts';
import { answersOf, championAnswers, type UsesGraph } from './answers.ts';
import { evaluationSteps, meanLabel } from './evaluation.ts';
import type { Learnable } from './learnable.ts';
import type { Lesson, Pieces, Shown, StageWork } from './pieces.ts';
import type { RunnerPorts } from './ports.ts';
import type { TrainingRun } from './run.ts';
import { type RowSet, SetReader, trainingColumnsOf } from './set.ts';

interface PointWork {
  readonly definition: ModelDefinition;
  readonly learnable: Learnable;
  readonly run: TrainingRun;
  readonly manifest: DatasetManifest;
  readonly ports: Pick<RunnerPorts, 'datasets' | 'load' | 'registry'>;
}

export function pointStages(work: PointWork): StageWork {
  return {
    prepare: undefined,
    learn: () => learnPieces(work),
    judge: (model) => judgePieces(work, model),
    show: (model) => showPieces(work, model),
  };
}

async function* learnPieces(work: PointWork): Pieces<Lesson> {
  const { learnable, manifest } = work;
  const set = yield* rowPieces(work, ['train', 'validation']);
  const { train } = manifest.rows;
  return { columns: trainingColumnsOf(set, learnable, train), meanLabel: meanLabel(set, train) };
}

async function* judgePieces(work: PointWork, model: Uint8Array<ArrayBuffer>): ReturnType<StageWork['judge']> {
  const { definition, learnable, manifest, run, ports } = work;
  const { registry } = ports;
  const shown = yield* showPieces(work, model);
  const { set, answers } = shown;
  const champion = await registry.champion(run.model);
  const bytes = champion && (await registry.artifact(champion.model.sha256));
  const judged =
    champion === undefined
      ? null
      : await championAnswers(definition, learnable, champion, set, { bytes, use: using(work) });
  const files = manifest.files.filter(({ split }) => split === 'test');
  const evaluating = evaluationSteps({
    dataset: { id: manifest.id, digest: manifest.digest },
    from: new Date(Math.min(...files.map(({ from }) => from))).toISOString(),
    to: new Date(Math.max(...files.map(({ to }) => to))).toISOString(),
    ...{ seed: run.seed, task: learnable.task, set, answers, champion: judged, baseline: run.meanLabel },
  });
  for (let done = 1; ; done += 1) {
    const step = evaluating.next();
    if (step.done === true) return { evaluation: step.value, shown };
    yield { progress: { done, of: 0 } };
  }
}

async function* showPieces(work: PointWork, model: Uint8Array<ArrayBuffer>): Pieces<Shown> {
  const { learnable, manifest } = work;
  if (manifest.rows.test === 0)
    throw new TrainingRefused('too_few_rows', 'The test has no rows: ask for a longer history.');
  const set = yield* rowPieces(work, ['test']);
  const answers = await using(work)(model, (session) => answersOf(session, learnable, set));
  return { set, answers };
}

/** Reads the files of some splits, a file in a piece. Those of the test have the numbers of their entities. */
async function* rowPieces(
  { definition, learnable, manifest, ports }: PointWork,
  splits: readonly [Split, ...Split[]],
): Pieces<RowSet> {
  const entity = splits[0] === 'test' ? definition.entity.name : undefined;
  const reader = new SetReader(learnable, manifest, splits, entity);
  for (let file = reader.next; file !== undefined; file = reader.next) {
    const bytes = await ports.datasets.file(manifest.id, file.name);
    if (bytes === undefined)
      throw new TrainingRefused('dataset_gone', `The file ${file.name} of the dataset is gone.`);
    await reader.add(bytes);
    yield { cost: { rows: file.rows }, progress: reader.progress };
  }
  return reader.finish(manifest.rows[splits[0]]);
}

function using({ ports }: PointWork): UsesGraph {
  return async (bytes, use) => {
    const session = await ports.load(bytes);
    try {
      return use(session);
    } finally {
      session.release();
    }
  };
}

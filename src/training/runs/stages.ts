import type { ModelDefinition } from '../../define/model.ts';
import type { DatasetManifest } from '../datasets/manifest.ts';
import { RANKING_INPUT, RANKING_OUTPUT } from '../rankings/judged.ts';
import { rankingStages } from '../rankings/stages.ts';
import { rankingWork, trainableRanking } from '../rankings/work.ts';
import { learnableOf } from './learnable.ts';
import type { StageWork } from './pieces.ts';
import { pointStages } from './point-stages.ts';
import type { RunnerPorts } from './ports.ts';
import type { TrainingRun } from './run.ts';

/** The graph that a run writes: `[rows, columns]` to `[rows, 1]`. */
export interface WrittenGraph {
  readonly input: string;
  readonly output: string;
  /** The names of the columns, in the order of the input. */
  readonly columns: readonly string[];
}

/** @throws TrainingRefused `not_trainable` for a model that the worker does not train. */
export function writtenGraphOf(definition: ModelDefinition): WrittenGraph {
  if (definition.task === 'ranking') {
    const { columns } = trainableRanking(definition).definition;
    return { input: RANKING_INPUT, output: RANKING_OUTPUT, columns };
  }
  const { input, output, columns } = learnableOf(definition);
  return { input, output, columns: columns.map(({ name }) => name) };
}

/** What the stages of a run do. @throws TrainingRefused `not_trainable` */
export function stagesOf(
  definition: ModelDefinition,
  run: TrainingRun,
  manifest: DatasetManifest,
  ports: RunnerPorts,
): StageWork {
  if (definition.task === 'ranking') return rankingStages(rankingWork(definition, run, manifest, ports));
  return pointStages({ definition, learnable: learnableOf(definition), run, manifest, ports });
}

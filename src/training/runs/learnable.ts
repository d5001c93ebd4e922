import type { ClassificationModel, ModelDefinition, PredictionModel } from '../../define/model.ts';
import type { TrainingTask } from '../columns.ts';
import { TrainingRefused } from '../refusal.ts';

/** A column of the model's input, as a row of a dataset gives it. */
export interface LearnableColumn {
  readonly name: string;
  /** The value in every row; undefined for a column of the dataset. */
  readonly constant: number | undefined;
  /** What takes the place of a missing value. */
  readonly missing: number;
}

/** How a model is learned from the rows of its dataset. */
export interface Learnable {
  readonly task: TrainingTask;
  /** The names of the graph's input and output. */
  readonly input: string;
  readonly output: string;
  readonly columns: readonly LearnableColumn[];
  /** The label of a row as a trainer takes it. @throws TrainingRefused `invalid_labels` */
  readonly labelOf: (value: unknown) => number;
}

/**
 * How a model is learned in the worker: one input of FP32, and one output, which is a number or the probability of the second
 * class.
 *
 * @throws TrainingRefused `not_trainable` for a model whose rows, inputs or outputs a trainer here does not make.
 */
export function learnableOf(definition: ModelDefinition): Learnable {
  const { name, dataset, training } = definition;
  if (dataset === undefined || training === undefined)
    throw notTrainable(`The model "${name}" declares no ${dataset === undefined ? 'dataset' : 'training'}.`);
  if (definition.task === 'ranking') throw notTrainable(`The model "${name}" is a ranking.`);
  return {
    ...{ task: training.task, ...inputOf(definition), output: outputOf(definition) },
    labelOf: definition.task === 'classification' ? classOf(definition) : numberOf,
  };
}

function inputOf({ name, inputs }: PredictionModel): Pick<Learnable, 'input' | 'columns'> {
  const [[input, declared] = [], ...others] = Object.entries(inputs);
  if (input === undefined || declared === undefined || others.length > 0 || declared.datatype !== 'FP32')
    throw notTrainable(`The model "${name}" does not have one input, of FP32.`);
  const columns = Object.entries(declared.columns).map(([column, from]): LearnableColumn => {
    if (from.from === 'feature') return { name: column, constant: undefined, missing: from.default };
    if (from.from === 'constant' && typeof from.value === 'number')
      return { name: column, constant: from.value, missing: from.value };
    throw notTrainable(`The column "${column}" of "${name}" is neither a feature nor a constant number.`);
  });
  return { input, columns };
}

function outputOf(definition: PredictionModel): string {
  const wanted = definition.task === 'regression' ? 'value' : 'probabilities';
  const [[property, output] = [], ...others] = Object.entries(definition.outputs);
  if (property !== wanted || output === undefined || others.length > 0)
    throw notTrainable(`The model "${definition.name}" does not have the one output \`${wanted}\`.`);
  return output;
}

function classOf({ classes }: ClassificationModel): Learnable['labelOf'] {
  return (value) => {
    const at = classes.findIndex((label) => Object.is(label, value));
    if (at < 0) throw new TrainingRefused('invalid_labels', `The label ${String(value)} is no class.`);
    return at;
  };
}

function numberOf(value: unknown): number {
  if (typeof value === 'number') return value;
  throw new TrainingRefused('invalid_labels', `The label ${String(value)} is no number.`);
}

function notTrainable(detail: string): TrainingRefused {
  return new TrainingRefused('not_trainable', detail);
}

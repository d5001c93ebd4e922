import {
  answerSchema,
  type ClassificationModel,
  type ClassLabel,
  type PredictionModel,
} from '../define/model.ts';
import { Failure } from '../platform/failure.ts';
import type { Manifest } from './bundle.ts';
import type { Tensors } from './tensors.ts';

export type Answer = Readonly<Record<string, unknown>>;

/**
 * Converts the graph's outputs for one row into the answer.
 *
 * @throws Error if an output does not match the declaration.
 */
export function answerOf(definition: PredictionModel, outputs: Tensors): Answer {
  return definition.task === 'classification'
    ? classAnswer(definition, outputs)
    : Object.fromEntries(
        Object.entries(definition.outputs).map(([property, name]) => [property, numberIn(outputs, name)]),
      );
}

/**
 * The answer to give if no version can answer: declared in the catalog, or published with the version; undefined
 * without either.
 */
export function fallbackOf(definition: PredictionModel, manifest: Manifest | null): Answer | undefined {
  const { fallback } = definition;
  if (fallback !== 'shipped') return fallback;
  return manifest?.fallback !== undefined && isAnswer(definition, manifest.fallback)
    ? manifest.fallback
    : undefined;
}

/** Whether a value has the properties that the model's answers have. */
export function isAnswer(definition: PredictionModel, value: unknown): boolean {
  return answerSchema(definition).safeParse(value).success;
}

function classAnswer({ outputs: names, classes }: ClassificationModel, outputs: Tensors): Answer {
  const { label, probabilities, scores } = names;
  const likely =
    probabilities === undefined ? undefined : probabilitiesIn(outputs, probabilities, classes.length);
  const scored = scores === undefined ? undefined : numbersIn(outputs, scores, classes.length);
  const found = label === undefined ? classes[greatest(likely ?? scored ?? [])] : labelIn(outputs, label);
  if (found === undefined || !classes.includes(found))
    throw new Error(`The graph returned the class ${JSON.stringify(found)}, which is not declared.`);
  return {
    label: found,
    ...(likely === undefined ? {} : { probabilities: byClass(classes, likely) }),
    ...(scored === undefined ? {} : { scores: byClass(classes, scored) }),
  };
}

/**
 * Compares labels with probabilities and scores, row by row. Without this check a wrong order of the declared classes
 * would be silent: the label is right, but the probabilities belong to other classes.
 *
 * @param outputs of a batch of rows.
 * @throws Failure `invalid_model`.
 */
export function assertClassOrder({ outputs: names, classes }: ClassificationModel, outputs: Tensors): void {
  const { label, ...ranked } = names;
  if (label === undefined) return;
  const labels = Array.from(outputs[label]?.data ?? [], asLabel);
  for (const name of Object.values(ranked)) {
    const values = Array.from(outputs[name]?.data ?? [], Number);
    if (values.length !== labels.length * classes.length) continue;
    for (const [row, expected] of labels.entries()) {
      const ofRow = values.slice(row * classes.length, (row + 1) * classes.length);
      const found = ofRow[classes.indexOf(expected)];
      if (found !== undefined && found >= Math.max(...ofRow)) continue;
      const likely = JSON.stringify(classes[greatest(ofRow)]);
      throw new Failure(
        'invalid_model',
        `In golden row ${row + 1} the label is ${JSON.stringify(expected)}, but the greatest value of "${name}" is that of ${likely}. Declare \`classes\` in the order of the columns of "${name}" (scikit-learn: \`classes_\`), or leave out the output \`label\`.`,
        { pointer: '/golden/inputs' },
      );
    }
  }
}

function byClass(classes: readonly ClassLabel[], values: readonly number[]): Record<string, number> {
  return Object.fromEntries(classes.map((label, index) => [String(label), values[index] ?? 0]));
}

/** The index of the greatest value; the first of equal ones. */
function greatest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

/** One probability for each class. A binary classifier may output only the probability of the second class. */
function probabilitiesIn(outputs: Tensors, name: string, classes: number): number[] {
  if (classes !== 2 || outputs[name]?.data.length !== 1) return numbersIn(outputs, name, classes);
  const second = numberIn(outputs, name);
  return [1 - second, second];
}

function labelIn(outputs: Tensors, name: string): ClassLabel | undefined {
  const [only, ...others] = outputs[name]?.data ?? [];
  if (others.length > 0) throw new Error(`The output "${name}" has several values for one row.`);
  return only === undefined ? undefined : asLabel(only);
}

function asLabel(element: number | bigint | string): ClassLabel {
  return typeof element === 'bigint' ? Number(element) : element;
}

function numberIn(outputs: Tensors, name: string): number {
  return numbersIn(outputs, name, 1)[0] ?? Number.NaN;
}

function numbersIn(outputs: Tensors, name: string, count: number): number[] {
  const values = Array.from(outputs[name]?.data ?? [], Number);
  if (values.length !== count)
    throw new Error(`The output "${name}" has ${values.length} values for one row, not ${count}.`);
  if (!values.every(Number.isFinite))
    throw new Error(`The output "${name}" has a value that is not a number.`);
  return values;
}

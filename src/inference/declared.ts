import { type Datatype, isFloat } from '../define/datatype.ts';
import type { ModelDefinition, PredictionModel, RankingModel } from '../define/model.ts';
import { Failure } from '../platform/failure.ts';
import { sizeOf, type TensorSignature } from './tensors.ts';

interface Signatures {
  readonly inputs: readonly (TensorSignature & { readonly columns?: readonly string[] | undefined })[];
  readonly outputs: readonly TensorSignature[];
}

/**
 * Compares a version's inputs and outputs with what the catalog declares for the model.
 *
 * @throws Failure `invalid_model` that says which inputs, columns or outputs differ.
 */
export function assertDeclared(definition: ModelDefinition, manifest: Signatures): void {
  if (definition.task === 'ranking') assertRanking(definition, manifest);
  else assertPrediction(definition, manifest);
}

/**
 * Compares a manifest with the graph as the runtime has it. The runtime infers a dimension of an output that the file
 * leaves open, so an output may be free in the manifest where the graph has a number.
 *
 * @throws Failure `invalid_model` if the manifest describes another graph.
 */
export function assertGraph(manifest: Signatures, graph: Signatures): void {
  for (const what of ['inputs', 'outputs'] as const) {
    const described = manifest[what].map(signatureText).sort();
    const found = graph[what].map(signatureText).sort();
    const compared = what === 'inputs' ? graph.inputs : asOpenAs(manifest.outputs, graph.outputs);
    if (described.join() !== compared.map(signatureText).sort().join()) {
      throw invalid(
        `The graph's ${what} are ${found.join(', ')}; the manifest has ${described.join(', ')}.`,
        `/manifest/${what}`,
      );
    }
  }
}

/** The graph's outputs, with the dimensions that the manifest leaves free. */
function asOpenAs(
  described: readonly TensorSignature[],
  found: readonly TensorSignature[],
): TensorSignature[] {
  return found.map((output) => {
    const open = described.find(({ name }) => name === output.name)?.shape ?? [];
    return { ...output, shape: output.shape.map((size, axis) => (open[axis] === -1 ? -1 : size)) };
  });
}

function signatureText({ name, datatype, shape }: TensorSignature): string {
  return `${name}: ${datatype} [${shape}]`;
}

function assertRanking({ columns }: RankingModel, { inputs, outputs }: Signatures): void {
  const [input, ...otherInputs] = inputs;
  const [output, ...otherOutputs] = outputs;
  if (input === undefined || otherInputs.length > 0 || input.datatype !== 'FP32')
    throw invalid('A ranking has one input, of type FP32.', '/manifest/inputs');
  if (input.shape.length !== 2 || input.shape[0] !== -1 || input.shape[1] !== columns.length)
    throw invalid(
      `The graph takes [${input.shape}], not [-1,${columns.length}]: the catalog declares ${columns.length} columns.`,
      '/manifest/inputs/0/shape',
    );
  assertColumns(columns, input.columns, '/manifest/inputs/0/columns');
  const [rows, width = 1, ...more] = output?.shape ?? [];
  const isScore = output?.datatype === 'FP32' && rows === -1 && width === 1 && more.length === 0;
  if (!isScore || otherOutputs.length > 0)
    throw invalid(
      'A ranking has one output, of type FP32 and shape [-1] or [-1,1]: the scores.',
      '/manifest/outputs',
    );
}

function assertPrediction(definition: PredictionModel, { inputs, outputs }: Signatures): void {
  const declared = Object.keys(definition.inputs);
  const shipped = inputs.map(({ name }) => name);
  const difference = differenceOf(declared, shipped);
  if (difference !== undefined)
    throw invalid(`The inputs are not those that the catalog declares: ${difference}.`, '/manifest/inputs');
  for (const [index, input] of inputs.entries()) {
    const pointer = `/manifest/inputs/${index}`;
    const wanted = definition.inputs[input.name];
    if (wanted === undefined) continue;
    const names = Object.keys(wanted.columns);
    if (input.datatype !== wanted.datatype)
      throw invalid(
        `The input "${input.name}" is ${input.datatype}; the catalog declares ${wanted.datatype}.`,
        `${pointer}/datatype`,
      );
    assertColumns(names, input.columns ?? (names.length === 1 ? names : undefined), `${pointer}/columns`);
    if (rowShape(input.shape, names.length) === undefined)
      throw invalid(
        `The input "${input.name}" takes [${input.shape}], not [-1,${names.length}]: the catalog declares ${names.length} columns.`,
        `${pointer}/shape`,
      );
  }
  for (const [property, name] of Object.entries(definition.outputs))
    assertOutput(definition, property, name, outputs);
}

function assertOutput(
  definition: PredictionModel,
  property: string,
  name: string,
  outputs: readonly TensorSignature[],
): void {
  const index = outputs.findIndex((output) => output.name === name);
  const output = outputs[index];
  if (output === undefined)
    throw invalid(
      `The graph has no output "${name}", which the catalog declares as ${property}; it has ${outputs.map((of) => of.name).join(', ')}.`,
      '/manifest/outputs',
    );
  const isLabel = definition.task === 'classification' && property === 'label';
  const allowed = (datatype: Datatype) =>
    datatype !== 'BOOL' && (isLabel ? !isFloat(datatype) : datatype !== 'BYTES');
  if (!allowed(output.datatype))
    throw invalid(
      `The output "${name}" is ${output.datatype}; ${property} is ${isLabel ? 'an integer or text' : 'a number'}.`,
      `/manifest/outputs/${index}/datatype`,
    );
  const wanted = definition.task === 'classification' && !isLabel ? definition.classes.length : 1;
  // The first dimension is the batch. A free dimension after it is known only after the graph has run.
  const fixed = output.shape.slice(output.shape[0] === -1 ? 1 : 0);
  const size = sizeOf(fixed);
  const isBinary = property === 'probabilities' && wanted === 2;
  if (fixed.some((dimension) => dimension === -1) || size === wanted || (isBinary && size === 1)) return;
  throw invalid(
    `The output "${name}" has ${size} values for one row; ${property} has ${wanted}.`,
    `/manifest/outputs/${index}/shape`,
  );
}

/**
 * The shape of one row for an input; undefined if the input does not take one row of this many columns.
 *
 * @param shape the input's, with -1 for free dimensions.
 */
export function rowShape(shape: readonly number[], columns: number): readonly number[] | undefined {
  const fits = (dimension: number | undefined, wanted: number) => dimension === -1 || dimension === wanted;
  if (shape.length === 2 && fits(shape[0], 1) && fits(shape[1], columns)) return [1, columns];
  // If the only dimension is free, it is the batch, which has one row.
  if (shape.length === 1 && (shape[0] === columns || (shape[0] === -1 && columns === 1))) return [columns];
  return undefined;
}

function assertColumns(
  declared: readonly string[],
  shipped: readonly string[] | undefined,
  pointer: string,
): void {
  const difference =
    shipped === undefined
      ? 'the manifest names none'
      : (differenceOf(declared, shipped) ?? orderDifference(declared, shipped));
  if (difference === undefined) return;
  throw invalid(`The columns are not those that the catalog declares: ${difference}.`, pointer);
}

function differenceOf(declared: readonly string[], shipped: readonly string[]): string | undefined {
  const missing = declared.filter((name) => !shipped.includes(name));
  const unknown = shipped.filter((name) => !declared.includes(name));
  const parts = [
    ...(missing.length === 0 ? [] : [`missing are ${missing.join(', ')}`]),
    ...(unknown.length === 0 ? [] : [`not declared are ${unknown.join(', ')}`]),
  ];
  return parts.length === 0 ? undefined : parts.join('; ');
}

function orderDifference(declared: readonly string[], shipped: readonly string[]): string | undefined {
  const index = declared.findIndex((name, position) => shipped[position] !== name);
  if (index >= 0) return `number ${index + 1} is "${shipped[index]}" instead of "${declared[index]}"`;
  return shipped.length === declared.length
    ? undefined
    : `there are ${shipped.length}, not ${declared.length}`;
}

function invalid(detail: string, pointer: string): Failure {
  return new Failure('invalid_model', detail, { pointer });
}

import { Failure } from '../../platform/failure.ts';
import {
  ELEMENT_TYPES,
  type GraphFile,
  type ModelFile,
  type NodeFile,
  numbersOf,
  readModelFile,
  type TensorFile,
} from './model-file.ts';

/** What onnxruntime-web 1.30 loads: versions of the file format, and of ONNX's own operators. */
const IR_VERSION_MAX = 13;
const OPSET_MAX = 26;
/**
 * The most iterations of a loop, those of the loops around it included. A run is synchronous and nothing can end it, so
 * a loop whose end depends on the request could keep the isolate from all other requests.
 */
const ITERATIONS_MAX = 10_000;

/** A node, with what the rules may look up. */
interface Place {
  readonly node: NodeFile;
  constant(name: string | undefined): TensorFile | undefined;
  /** The element type of a value; undefined if the file does not name it. */
  type(name: string | undefined): number | undefined;
}

/** Why a node is refused; undefined if it is not. */
type Rule = (place: Place) => string | undefined;

const random: Rule = () => 'its answer is random, and a prediction has to be reproducible';

/**
 * Operators of ONNX that the runtime loads but that Millrace does not serve, by name. The runtime computes some of them
 * in another way than ONNX says; `npm run conformance:onnx` finds them. docs/onnx-conformance.md lists the rules.
 */
const RULES: Readonly<Record<string, Rule>> = {
  Bernoulli: random,
  Multinomial: random,
  RandomNormal: random,
  RandomNormalLike: random,
  RandomUniform: random,
  RandomUniformLike: random,
  Dropout: ({ node, constant }) => {
    const training = node.inputs[2];
    if (training === undefined || training === '' || first(constant(training)) === 0) return undefined;
    return 'in training mode its answer is random; export the model for inference';
  },
  Attention: ({ node }) => {
    const has = (values: readonly string[], index: number) => (values[index] ?? '') !== '';
    if (has(node.outputs, 3) && node.attributes.get('is_causal')?.integer === 1)
      return 'the runtime computes the output qk_matmul_output of causal attention in another way';
    if (has(node.inputs, 3) && has(node.inputs, 6))
      return 'the runtime cannot run it with attn_mask and nonpad_kv_seqlen together';
    return undefined;
  },
  ConvInteger: ({ node }) =>
    (node.inputs[3] ?? '') === '' ? undefined : 'the runtime cannot run it with zero points of the weights',
  MaxUnpool: ({ node }) =>
    (node.inputs[2] ?? '') === '' ? undefined : 'the runtime places values otherwise with output_shape',
  GRU: refusesBatchwise,
  LSTM: refusesBatchwise,
  RNN: refusesBatchwise,
  ReduceMax: refusesBooleans,
  ReduceMin: refusesBooleans,
  Resize: ({ node, constant }) => {
    if (node.attributes.get('coordinate_transformation_mode')?.text !== 'align_corners') return undefined;
    const scales = node.inputs[2] ?? '';
    if (scales === '') return undefined;
    const factors = numbersIn(constant(scales));
    if (factors?.every(Number.isInteger) === true) return undefined;
    return 'with align_corners and scales that are not constant whole numbers the runtime aligns other corners; use sizes';
  },
};

function refusesBatchwise({ node }: Place): string | undefined {
  return node.attributes.get('layout')?.integer === 1
    ? 'the runtime has it with layout 0 only; transpose its inputs'
    : undefined;
}

function refusesBooleans({ node, type }: Place): string | undefined {
  return type(node.inputs[0]) === ELEMENT_TYPES.BOOL
    ? 'the runtime cannot reduce an empty BOOL tensor; cast it to an integer'
    : undefined;
}

/**
 * Refuses a graph that Millrace does not serve right, by the name of the operator.
 *
 * @throws Failure `invalid_model`
 */
export function assertServable(bytes: Uint8Array): void {
  try {
    assertModel(readModelFile(bytes));
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    // A message that is malformed, or graphs within graphs that leave no stack.
    throw new Failure('invalid_model', 'The file is not an ONNX model.', { pointer: '/model', cause });
  }
}

function assertModel({ graph, functions, ...versions }: ModelFile): void {
  assertVersions(versions);
  assertGraph(graph, [], 1);
  for (const nodes of functions) assertGraph({ nodes, initializers: new Map(), types: new Map() }, [], 1);
}

function assertVersions({ irVersion, opsets }: Pick<ModelFile, 'irVersion' | 'opsets'>): void {
  const opset = opsets.get('') ?? 0;
  if (opset > OPSET_MAX)
    throw refused(
      `The model uses ONNX opset ${opset}; the runtime has operators up to opset ${OPSET_MAX}. Export it for an earlier opset.`,
    );
  if (irVersion > IR_VERSION_MAX)
    throw refused(
      `The file has ONNX IR version ${irVersion}; the runtime reads up to ${IR_VERSION_MAX}. Set \`model.ir_version = ${IR_VERSION_MAX}\` before you save it.`,
    );
}

/**
 * @param outer the graphs around this one, whose values it may use.
 * @param runs how often this graph runs for one run of the model.
 */
function assertGraph(graph: GraphFile, outer: readonly GraphFile[], runs: number): void {
  const graphs = [graph, ...outer];
  const constant = (name: string | undefined) => (name === undefined ? undefined : constantOf(name, graphs));
  const type = (name: string | undefined) =>
    graphs.map(({ types }) => types.get(name ?? '')).find((found) => found !== undefined);
  for (const [name, { isExternal }] of graph.initializers)
    if (isExternal)
      throw refused(
        `The weights "${name}" are in another file. Save the model with its weights in one file.`,
      );
  for (const node of graph.nodes) {
    const rule = node.domain === '' && Object.hasOwn(RULES, node.operator) ? RULES[node.operator] : undefined;
    const reason = rule?.({ node, constant, type });
    if (reason !== undefined) throw refused(`The operator ${node.operator} is refused: ${reason}.`);
    const times = node.operator === 'Loop' ? runs * iterationsOf(node, constant) : runs;
    if (!(times <= ITERATIONS_MAX))
      throw refused(
        `The operator Loop is refused: its trip count is not a constant, or all loops together run more than ${ITERATIONS_MAX} times.`,
      );
    for (const { graphs: bodies } of node.attributes.values())
      for (const body of bodies) assertGraph(body, graphs, times);
  }
}

/** Not finite for a loop whose trip count is not a constant. */
function iterationsOf(node: NodeFile, constant: Place['constant']): number {
  return first(constant(node.inputs[0])) ?? Number.POSITIVE_INFINITY;
}

/** The value of a name that is the same in each run: an initializer, or the output of a `Constant`. */
function constantOf(name: string, graphs: readonly GraphFile[]): TensorFile | undefined {
  for (const { initializers, nodes } of graphs) {
    const found =
      initializers.get(name) ??
      nodes
        .find(({ operator, outputs }) => operator === 'Constant' && outputs[0] === name)
        ?.attributes.get('value')?.tensor;
    if (found !== undefined) return found;
  }
  return undefined;
}

function numbersIn(tensor: TensorFile | undefined): number[] | undefined {
  return tensor === undefined ? undefined : numbersOf(tensor);
}

function first(tensor: TensorFile | undefined): number | undefined {
  return numbersIn(tensor)?.[0];
}

function refused(detail: string): Failure {
  return new Failure('invalid_model', detail, { pointer: '/model' });
}

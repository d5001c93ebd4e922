import { type GraphFile, type ModelFile, type NodeFile, readModelFile } from '../onnx-file/model-file.ts';
import { ARRAYS, sizeOf, type Tensor, type TensorSignature, type Tensors } from '../tensors.ts';
import { constantTensor } from './constants.ts';
import { type Kernel, Node, type Operator } from './node.ts';
import { NotEvaluated, UnknownCategory } from './not-evaluated.ts';
import { COLUMNS } from './operators/columns.ts';
import { ELEMENTWISE } from './operators/elementwise.ts';
import { LINEAR } from './operators/linear.ts';
import { MATRICES } from './operators/matrices.ts';
import { SHAPES } from './operators/shapes.ts';
import { TREES } from './operators/trees.ts';
import type { AdditiveRows } from './sums.ts';

/** The operators that it computes, by domain and name. docs/models.md lists them. */
const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...Object.entries({ ...ELEMENTWISE, ...MATRICES, ...SHAPES }).map(
    ([name, of]) => [`:${name}`, of] as const,
  ),
  ...Object.entries({ ...COLUMNS, ...LINEAR, ...TREES }).map(
    ([name, of]) => [`ai.onnx.ml:${name}`, of] as const,
  ),
]);
/** Larger graphs take longer to read than a request has. */
export const EVALUATED_BYTES_MAX = 3 * 1024 * 1024;

const NORMALIZER = 'Normalizer';
/** These pass the numbers of rows on, whatever their shape. */
const PASSING: ReadonlySet<string> = new Set([
  'Cast',
  'Flatten',
  'Identity',
  NORMALIZER,
  'Reshape',
  'Squeeze',
  'Unsqueeze',
]);
/** In these, each column of the output is made of the same column of the input. */
const BY_COLUMN: ReadonlySet<string> = new Set(['Binarizer', 'Cast', 'Identity', 'Imputer', 'Scaler']);

interface Step {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly kernel: Kernel;
}

export interface Signature {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
}

/**
 * A graph that TypeScript computes: linear models, tree ensembles, encoders and small networks. It answers at once,
 * where the runtime has to be started, and agrees with the runtime within `PARITY_TOLERANCE`.
 */
export class Evaluator {
  readonly #steps: readonly Step[];
  readonly #constants: ReadonlyMap<string, Tensor>;
  readonly #outputs: readonly string[];
  /** How many numbers of matrices a row is multiplied with: what a network's run costs, at about 3 ns each. */
  readonly multiplicationsOfRow: number;

  private constructor(
    steps: readonly Step[],
    constants: ReadonlyMap<string, Tensor>,
    outputs: readonly string[],
  ) {
    this.#steps = steps;
    this.#constants = constants;
    this.#outputs = outputs;
    this.multiplicationsOfRow = [...constants.values()].reduce(
      (sum, { shape }) => sum + (shape.length >= 2 ? sizeOf(shape) : 0),
      0,
    );
  }

  /**
   * Reads a graph.
   *
   * @throws NotEvaluated with the operator or the reason if it has to be left to the runtime.
   */
  static read(bytes: Uint8Array, signature: Signature): Evaluator {
    if (bytes.length > EVALUATED_BYTES_MAX) throw new NotEvaluated(`more than ${EVALUATED_BYTES_MAX} bytes`);
    try {
      const { graph, opsets } = readModelFile(bytes);
      const constants = constantsOf(graph);
      const steps = graph.nodes.map((node) => stepOf(node, opsets));
      assertConnected(signature, steps, constants);
      const evaluator = new Evaluator(
        steps,
        constants,
        signature.outputs.map(({ name }) => name),
      );
      evaluator.#assertTypes(signature);
      return evaluator;
    } catch (cause) {
      if (cause instanceof NotEvaluated) throw cause;
      throw new NotEvaluated('the file cannot be read', { cause });
    }
  }

  /** As `Session.run`. @throws NotEvaluated if the runtime has to compute these inputs, or refuses them. */
  run(inputs: Tensors, outputs: readonly string[] = this.#outputs): Tensors {
    const values = new Map<string, Tensor>([...this.#constants, ...Object.entries(inputs)]);
    for (const step of this.#steps) {
      const made = step.kernel(step.inputs.map((name) => values.get(name)));
      for (const [at, name] of step.outputs.entries()) {
        const value = made[at];
        if (value !== undefined && name !== '') values.set(name, value);
      }
    }
    return Object.fromEntries(
      outputs.map((name) => {
        const value = values.get(name);
        if (value === undefined) throw new NotEvaluated(`no output "${name}"`);
        return [name, value];
      }),
    );
  }

  /**
   * The sums that an output is made of, with two rows as the sums read them; undefined if they are not known.
   *
   * @param ends the inputs of one row each.
   * @throws NotEvaluated
   */
  additive(
    output: string,
    ends: { readonly actual: Tensors; readonly baseline: Tensors },
  ): AdditiveRows | undefined {
    const passed = this.#chain(output, PASSING);
    const step = this.#steps.find(({ outputs }) => outputs.some((name) => name === passed.at(-1)));
    const made = step?.kernel.additive;
    const rows = step?.inputs[0];
    if (made === undefined || rows === undefined) return undefined;
    if (step?.outputs[made.output] !== passed.at(-1)) return undefined;
    if (this.#normalises(passed) && !sumToOne(made)) return undefined;
    const source = this.#chain(rows, BY_COLUMN).at(-1);
    const [input, ...others] = Object.entries(ends.actual);
    if (input === undefined || others.length > 0 || input[0] !== source) return undefined;
    const ran = this.run(ends.actual, [rows, ...passed]);
    // A cast to whole numbers is not passed on: what comes after is no sum.
    if (passed.some((name) => ran[name]?.datatype !== 'FP32' && ran[name]?.datatype !== 'FP64'))
      return undefined;
    const [actual, baseline] = [ran[rows]?.data, this.run(ends.baseline, [rows])[rows]?.data];
    if (!(actual instanceof Float32Array && baseline instanceof Float32Array)) return undefined;
    const { link, sums } = made;
    return actual.length === input[1].data.length ? { link, sums, actual, baseline } : undefined;
  }

  /** Whether one of these values is made by a `Normalizer`. */
  #normalises(names: readonly string[]): boolean {
    return this.#steps.some(
      ({ operator, outputs: [made = ''] }) => operator === NORMALIZER && names.includes(made),
    );
  }

  /** A value, and those that it is made of by these operators, one after the other. */
  #chain(name: string, operators: ReadonlySet<string>): string[] {
    const step = this.#steps.find((one) => one.outputs[0] === name);
    const [source] = step?.inputs ?? [];
    if (step === undefined || source === undefined || !operators.has(step.operator)) return [name];
    return [name, ...this.#chain(source, operators)];
  }

  /**
   * The types of a graph do not depend on its inputs, so a run with one row of zeros shows whether all are known. If it
   * ends at a category, later nodes are first tried by a request, which is left to the runtime if one is not evaluated.
   */
  #assertTypes({ inputs, outputs }: Signature): void {
    const row = inputs.map(({ name, datatype, shape }): [string, Tensor] => {
      const dimensions = shape.map((dimension) => (dimension < 0 ? 1 : dimension));
      const ArrayOf = ARRAYS[datatype];
      const size = sizeOf(dimensions);
      const data = ArrayOf === undefined ? new Array<string>(size).fill('') : new ArrayOf(size);
      return [name, { datatype, shape: dimensions, data }];
    });
    try {
      const made = this.run(Object.fromEntries(row));
      for (const { name, datatype } of outputs)
        if (made[name]?.datatype !== datatype) throw new NotEvaluated(`the type of the output "${name}"`);
    } catch (error) {
      if (!(error instanceof UnknownCategory)) throw error;
    }
  }
}

/**
 * Whether the numbers of a row add up to 1 whatever the row is, so that dividing by their sum changes none: those of a
 * softmax, and the logistic of a sum and of its negative. Exporters of scikit-learn write such a division behind both.
 */
function sumToOne({ link, sums }: Pick<AdditiveRows, 'link' | 'sums'>): boolean {
  const [first, second, ...others] = sums;
  if (link === 'softmax') return true;
  if (link === 'identity' || first === undefined || second === undefined || others.length > 0) return false;
  if (first.offset !== -second.offset) return false;
  if (first.method === 'trees' && second.method === 'trees') return first.scale === -second.scale;
  if (first.method !== 'linear' || second.method !== 'linear') return false;
  const { coefficients } = second;
  return first.coefficients.every((value, at) => value === -(coefficients[at] ?? 0));
}

function constantsOf({ initializers }: GraphFile): Map<string, Tensor> {
  return new Map([...initializers].map(([name, file]) => [name, constantTensor(file)]));
}

function stepOf(file: NodeFile, opsets: ModelFile['opsets']): Step {
  const operator = OPERATORS.get(`${file.domain}:${file.operator}`);
  if (operator === undefined)
    throw new NotEvaluated(`the operator ${file.domain === '' ? '' : `${file.domain}.`}${file.operator}`);
  const node = new Node(file, opsets.get(file.domain) ?? 1);
  const kernel = operator(node);
  node.assertAllRead();
  return { operator: file.operator, inputs: file.inputs, outputs: file.outputs, kernel };
}

/** The nodes of a graph are in an order in which each has its inputs. @throws NotEvaluated if a value comes from nowhere. */
function assertConnected(
  { inputs, outputs }: Signature,
  steps: readonly Step[],
  constants: ReadonlyMap<string, Tensor>,
): void {
  const known = new Set(['', ...constants.keys(), ...inputs.map(({ name }) => name)]);
  const assertKnown = (name: string) => {
    if (!known.has(name)) throw new NotEvaluated(`the value "${name}"`);
  };
  for (const step of steps) {
    step.inputs.forEach(assertKnown);
    for (const name of step.outputs) known.add(name);
  }
  for (const { name } of outputs) assertKnown(name);
}

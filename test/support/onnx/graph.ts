/** Small ONNX graphs for tests, as other tools export them. */
import onnxProto, { type onnx as Onnx } from 'onnx-proto';

const { onnx } = onnxProto;
const { DataType } = onnx.TensorProto;

type ElementType = keyof typeof DataType;
/** A name is a free dimension. */
type Dimensions = readonly (number | string)[];
/** A sequence of maps is what `ZipMap` gives: no tensor. */
type Values = readonly [name: string, type: ElementType | 'SEQUENCE_OF_MAPS', dimensions: Dimensions];

interface NodeDeclaration {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly domain?: 'ai.onnx.ml';
  readonly attributes?: Readonly<
    Record<string, readonly number[] | readonly bigint[] | readonly string[] | string | bigint>
  >;
}

interface GraphDeclaration {
  readonly inputs: readonly Values[];
  readonly outputs: readonly Values[];
  readonly nodes: readonly NodeDeclaration[];
  readonly constants?: Readonly<Record<string, { dims: readonly number[]; floats: readonly number[] }>>;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The bytes of a graph. */
export function graphBytes(graph: GraphDeclaration): Uint8Array<ArrayBuffer> {
  const model = onnx.ModelProto.create({
    irVersion: 8,
    producerName: 'test',
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'ai.onnx.ml', version: 3 },
    ],
    graph: {
      name: 'test',
      node: graph.nodes.map(({ op, inputs, outputs, domain = '', attributes = {} }) => ({
        opType: op,
        domain,
        input: [...inputs],
        output: [...outputs],
        attribute: Object.entries(attributes).map(([name, value]) => attributeOf(name, value)),
      })),
      initializer: Object.entries(graph.constants ?? {}).map(([name, { dims, floats }]) => ({
        name,
        dims: [...dims],
        dataType: DataType.FLOAT,
        floatData: [...floats],
      })),
      input: graph.inputs.map(valueInfo),
      output: graph.outputs.map(valueInfo),
    },
    metadataProps: Object.entries(graph.metadata ?? {}).map(([key, value]) => ({ key, value })),
  });
  return Uint8Array.from(onnx.ModelProto.encode(model).finish());
}

function valueInfo([name, type, dimensions]: Values): Onnx.IValueInfoProto {
  if (type === 'SEQUENCE_OF_MAPS') {
    const valueType = { tensorType: { elemType: DataType.FLOAT } };
    return {
      name,
      type: { sequenceType: { elemType: { mapType: { keyType: DataType.STRING, valueType } } } },
    };
  }
  const dim = dimensions.map((of) => (typeof of === 'string' ? { dimParam: of } : { dimValue: of }));
  return { name, type: { tensorType: { elemType: DataType[type], shape: { dim } } } };
}

function attributeOf(
  name: string,
  value: readonly number[] | readonly bigint[] | readonly string[] | string | bigint,
): Onnx.IAttributeProto {
  const { AttributeType } = onnx.AttributeProto;
  const bytes = (text: string) => new TextEncoder().encode(text);
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: bytes(value) };
  if (typeof value === 'bigint') return { name, type: AttributeType.INT, i: Number(value) };
  if (typeof value[0] === 'bigint') return { name, type: AttributeType.INTS, ints: value.map(Number) };
  return typeof value[0] === 'string'
    ? { name, type: AttributeType.STRINGS, strings: value.map((text) => bytes(String(text))) }
    : { name, type: AttributeType.FLOATS, floats: value.map(Number) };
}

/**
 * `value = 2·f0 + 3·f1 + count + 1` and `doubled = 2·value`: two inputs of two types and two outputs, as a regression
 * with a column of its own type has them.
 *
 * @param weights of f0 and f1.
 * @param isBroken adds `log(50 − f1)`, which is no number for some features.
 */
export function regressionGraph(
  weights: readonly [number, number] = [2, 3],
  isBroken = false,
): Uint8Array<ArrayBuffer> {
  const broken = {
    constants: { minus: { dims: [2, 1], floats: [0, -1] }, limit: { dims: [1], floats: [50] } },
    nodes: [
      { op: 'MatMul', inputs: ['features', 'minus'], outputs: ['negated'] },
      { op: 'Add', inputs: ['negated', 'limit'], outputs: ['left'] },
      { op: 'Log', inputs: ['left'], outputs: ['logged'] },
      { op: 'Add', inputs: ['based', 'logged'], outputs: ['variable'] },
    ],
  };
  return graphBytes({
    inputs: [
      ['features', 'FLOAT', ['batch', 2]],
      ['count', 'INT64', ['batch', 1]],
    ],
    outputs: [
      ['variable', 'FLOAT', ['batch', 1]],
      ['doubled', 'FLOAT', ['batch', 1]],
    ],
    constants: {
      weight: { dims: [2, 1], floats: weights },
      bias: { dims: [1], floats: [1] },
      ...(isBroken ? broken.constants : {}),
    },
    nodes: [
      { op: 'MatMul', inputs: ['features', 'weight'], outputs: ['weighted'] },
      { op: 'Cast', inputs: ['count'], outputs: ['counted'], attributes: { to: BigInt(DataType.FLOAT) } },
      { op: 'Add', inputs: ['weighted', 'counted'], outputs: ['sum'] },
      { op: 'Add', inputs: ['sum', 'bias'], outputs: [isBroken ? 'based' : 'variable'] },
      ...(isBroken ? broken.nodes : []),
      { op: 'Add', inputs: ['variable', 'variable'], outputs: ['doubled'] },
    ],
  });
}

const CLASSIFIER = {
  coefficients: [1, 1, -1, 0, 0, 0],
  intercepts: [0, 0, 1],
  classlabels_strings: ['high', 'low', 'medium'],
  post_transform: 'SOFTMAX',
};

/**
 * A linear classifier of three text classes in `ai.onnx.ml`, as skl2onnx writes one: the greatest of
 * `high = f0 + f1`, `low = −f0`, `medium = 1`.
 */
export function classifierGraph(): Uint8Array<ArrayBuffer> {
  return graphBytes({
    inputs: [['input', 'FLOAT', ['batch', 2]]],
    outputs: [
      ['label', 'STRING', ['batch']],
      ['probabilities', 'FLOAT', ['batch', 3]],
    ],
    nodes: [
      {
        op: 'LinearClassifier',
        domain: 'ai.onnx.ml',
        inputs: ['input'],
        outputs: ['label', 'probabilities'],
        attributes: CLASSIFIER,
      },
    ],
  });
}

/**
 * The same for as many rows of a table; for an `f1` beyond them the runtime throws, because `Gather` has no such row. The
 * table adds nothing to the probabilities.
 */
export function crashingClassifierGraph(rows: number): Uint8Array<ArrayBuffer> {
  return graphBytes({
    inputs: [['input', 'FLOAT', ['batch', 2]]],
    outputs: [
      ['label', 'STRING', ['batch']],
      ['probabilities', 'FLOAT', ['batch', 3]],
    ],
    constants: {
      pick: { dims: [2, 1], floats: [0, 1] },
      table: { dims: [rows], floats: Array.from({ length: rows }, () => 0) },
    },
    nodes: [
      {
        op: 'LinearClassifier',
        domain: 'ai.onnx.ml',
        inputs: ['input'],
        outputs: ['label', 'classified'],
        attributes: CLASSIFIER,
      },
      { op: 'MatMul', inputs: ['input', 'pick'], outputs: ['picked'] },
      { op: 'Cast', inputs: ['picked'], outputs: ['row'], attributes: { to: BigInt(DataType.INT64) } },
      { op: 'Gather', inputs: ['table', 'row'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['classified', 'nothing'], outputs: ['probabilities'] },
    ],
  });
}

/** Gives each input back, one of each type. */
export function echoGraph(
  types: readonly ElementType[],
  dimensions: Dimensions = ['rows'],
): Uint8Array<ArrayBuffer> {
  const name = (type: ElementType) => type.toLowerCase();
  return graphBytes({
    inputs: types.map((type): Values => [name(type), type, dimensions]),
    outputs: types.map((type): Values => [`${name(type)}_out`, type, dimensions]),
    nodes: types.map((type) => ({ op: 'Identity', inputs: [name(type)], outputs: [`${name(type)}_out`] })),
  });
}

/** Multiplies one row by matrices whose weights are a file of about this many bytes, none of them alike. */
export function denseGraph(bytes: number, width = 512): Uint8Array<ArrayBuffer> {
  const matrixBytes = width * width * 4;
  const layers = Math.max(1, Math.floor(bytes / matrixBytes));
  const value = (layer: number) => (layer === layers ? 'output' : `layer${layer}`);
  return graphBytes({
    inputs: [['input', 'FLOAT', ['batch', width]]],
    outputs: [['output', 'FLOAT', ['batch', width]]],
    constants: Object.fromEntries(
      Array.from({ length: layers }, (_, layer) => [
        `weights${layer}`,
        {
          dims: [width, width],
          floats: Array.from({ length: width * width }, (_, index) => ((index + layer) % 7) / width / 3),
        },
      ]),
    ),
    nodes: Array.from({ length: layers }, (_, layer) => ({
      op: 'MatMul',
      inputs: [layer === 0 ? 'input' : value(layer), `weights${layer}`],
      outputs: [value(layer + 1)],
    })),
  });
}

/** Nodes of a complete tree of eight levels, the last of leaves. */
const TREE_NODES = 255;
const TREE_INNER = 127;

/** A regression of boosted trees over one FP32 input of 8 columns. */
export function treeGraph(trees: number): Uint8Array<ArrayBuffer> {
  const nodes = Array.from({ length: trees }, (_, tree) =>
    Array.from({ length: TREE_NODES }, (_, node) => ({ tree, node, isLeaf: node >= TREE_INNER })),
  ).flat();
  const leaves = nodes.filter(({ isLeaf }) => isLeaf);
  const children = (offset: number) =>
    nodes.map(({ node, isLeaf }) => BigInt(isLeaf ? 0 : 2 * node + offset));
  return graphBytes({
    inputs: [['input', 'FLOAT', ['batch', 8]]],
    outputs: [['output', 'FLOAT', ['batch', 1]]],
    nodes: [
      {
        op: 'TreeEnsembleRegressor',
        domain: 'ai.onnx.ml',
        inputs: ['input'],
        outputs: ['output'],
        attributes: {
          n_targets: 1n,
          nodes_treeids: nodes.map(({ tree }) => BigInt(tree)),
          nodes_nodeids: nodes.map(({ node }) => BigInt(node)),
          nodes_featureids: nodes.map(({ node }) => BigInt(node % 8)),
          nodes_values: nodes.map(({ tree, node }) => ((node * 31 + tree) % 100) / 100),
          nodes_modes: nodes.map(({ isLeaf }) => (isLeaf ? 'LEAF' : 'BRANCH_LEQ')),
          nodes_truenodeids: children(1),
          nodes_falsenodeids: children(2),
          target_treeids: leaves.map(({ tree }) => BigInt(tree)),
          target_nodeids: leaves.map(({ node }) => BigInt(node)),
          target_ids: leaves.map(() => 0n),
          target_weights: leaves.map(({ node }) => node / TREE_NODES),
        },
      },
    ],
  });
}

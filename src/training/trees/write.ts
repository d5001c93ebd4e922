/** Writes trees as an ONNX model that takes raw columns. */
import { BATCH_DIMENSION, type FileParts, type NodeParts, onnxFile } from '../onnx/file.ts';
import { TrainingRefused } from '../refusal.ts';
import { bestLength, type TreesState } from './boost.ts';
import type { Tree } from './tree.ts';

/**
 * What the graph answers.
 *
 * - `value`: float32 `[batch, 1]`, a number.
 * - `classes`: `label`, int64 `[batch]`, 0 or 1, and `probabilities`, float32 `[batch, 2]`.
 * - `score`: float32 `[batch, 1]`, a probability, as a ranking reads it.
 */
export type TreesOutput = 'value' | 'classes' | 'score';

/** How the graph's input and outputs are called. */
export interface TreesNames {
  readonly input: string;
  /** Of `value` and `score`. */
  readonly output: string;
  readonly label: string;
  readonly probabilities: string;
}

export const TREES_NAMES: TreesNames = {
  input: 'features',
  output: 'value',
  label: 'label',
  probabilities: 'probabilities',
};

/**
 * The model of a training that is done: its trees up to the lowest loss on the later rows.
 *
 * @param metadata what `metadata_props` says about the model's origin.
 * @throws TrainingRefused `not_finished`
 */
export function writeTrees(
  state: TreesState,
  output: TreesOutput,
  metadata: Readonly<Record<string, string>>,
  names: TreesNames = TREES_NAMES,
): Uint8Array<ArrayBuffer> {
  if (!state.isDone) throw new TrainingRefused('not_finished', 'The training has more trees to grow.');
  const trees = state.trees.slice(0, bestLength(state.losses));
  const inputs = [{ name: names.input, shape: [BATCH_DIMENSION, state.names.length] }];
  const parts = { graph: 'trees', inputs, constants: [], metadata };
  if (output === 'classes') return onnxFile({ ...parts, ...classifier(trees, state.base, names) });
  const { op, domain, attributes } = ensemble('TreeEnsembleRegressor', 'target', trees, state.base);
  const made = output === 'value' ? names.output : 'log_odds';
  const nodes: NodeParts[] = [
    {
      op,
      domain,
      inputs: [names.input],
      outputs: [made],
      attributes: { ...attributes, n_targets: { int: 1 } },
    },
  ];
  if (output === 'score') nodes.push({ op: 'Sigmoid', inputs: [made], outputs: [names.output] });
  return onnxFile({ ...parts, nodes, outputs: [{ name: names.output, shape: [BATCH_DIMENSION, 1] }] });
}

/**
 * The weights are of the first class, and mean the second: so exporters of gradient boosting write two classes. Weights of
 * which none is negative would be read as probabilities.
 */
function classifier(
  trees: readonly Tree[],
  base: number,
  { input, label, probabilities }: TreesNames,
): Pick<FileParts, 'nodes' | 'outputs'> {
  const hasNegative = trees.some(({ values }) => values.some((value) => value < 0));
  const { op, domain, attributes } = ensemble(
    'TreeEnsembleClassifier',
    'class',
    hasNegative ? trees : [...trees, leaf(-1)],
    hasNegative ? base : base + 1,
  );
  return {
    nodes: [
      {
        ...{ op, domain },
        inputs: [input],
        outputs: [label, probabilities],
        attributes: {
          ...attributes,
          classlabels_int64s: { ints: [0, 1] },
          post_transform: { text: 'LOGISTIC' },
        },
      },
    ],
    outputs: [
      { name: label, type: 'INT64', shape: [BATCH_DIMENSION] },
      { name: probabilities, shape: [BATCH_DIMENSION, 2] },
    ],
  };
}

function leaf(value: number): Tree {
  return {
    columns: Int16Array.of(-1),
    bins: Uint8Array.of(0),
    thresholds: Float32Array.of(0),
    missingLeft: Uint8Array.of(0),
    left: Int16Array.of(-1),
    right: Int16Array.of(-1),
    values: Float32Array.of(value),
  };
}

function ensemble(op: string, kind: 'target' | 'class', trees: readonly Tree[], base: number) {
  const grown = trees.length === 0 ? [leaf(0)] : trees;
  const nodes = grown.flatMap((tree, at) =>
    Array.from(tree.columns, (column, node) => ({
      ...{ tree: at, node, isLeaf: column < 0, column: Math.max(column, 0) },
      threshold: tree.thresholds[node] ?? 0,
      missingLeft: tree.missingLeft[node] ?? 0,
      left: Math.max(tree.left[node] ?? 0, 0),
      right: Math.max(tree.right[node] ?? 0, 0),
      value: tree.values[node] ?? 0,
    })),
  );
  const leaves = nodes.filter(({ isLeaf }) => isLeaf);
  return {
    ...{ op, domain: 'ai.onnx.ml' as const },
    attributes: {
      nodes_treeids: { ints: nodes.map(({ tree }) => tree) },
      nodes_nodeids: { ints: nodes.map(({ node }) => node) },
      nodes_modes: { texts: nodes.map(({ isLeaf }) => (isLeaf ? 'LEAF' : 'BRANCH_LEQ')) },
      nodes_featureids: { ints: nodes.map(({ column }) => column) },
      nodes_values: { floats: nodes.map(({ threshold }) => threshold) },
      nodes_truenodeids: { ints: nodes.map(({ left }) => left) },
      nodes_falsenodeids: { ints: nodes.map(({ right }) => right) },
      nodes_missing_value_tracks_true: { ints: nodes.map(({ missingLeft }) => missingLeft) },
      [`${kind}_treeids`]: { ints: leaves.map(({ tree }) => tree) },
      [`${kind}_nodeids`]: { ints: leaves.map(({ node }) => node) },
      [`${kind}_ids`]: { ints: leaves.map(() => 0) },
      [`${kind}_weights`]: { floats: leaves.map(({ value }) => value) },
      base_values: { floats: [base] },
    },
  };
}

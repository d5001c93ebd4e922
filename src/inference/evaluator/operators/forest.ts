import type { Node } from '../node.ts';
import type { Forest } from '../sums.ts';

const { fround } = Math;

const MODES = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ', 'LEAF'];
const [LEQ, LT, GTE, GT, EQ] = [0, 1, 2, 3, 4];
const LEAF = 6;
const NODE_ATTRIBUTES = 6;

/** @param kind the prefix of the attributes of weights. @throws NotEvaluated */
export function readForest(node: Node, kind: 'target' | 'class'): Forest {
  const [trees, ids] = [node.integers('nodes_treeids'), node.integers('nodes_nodeids')];
  const modes = Uint8Array.from(node.texts('nodes_modes'), (mode) => {
    const found = MODES.indexOf(mode);
    if (found < 0) throw node.refuse(`the mode ${mode}`);
    return found;
  });
  const thresholds = node.floats('nodes_values');
  const columns = Int32Array.from(node.integers('nodes_featureids'));
  const [yes, no] = [node.integers('nodes_truenodeids'), node.integers('nodes_falsenodeids')];
  const missing = Uint8Array.from(node.integers('nodes_missing_value_tracks_true'));
  node.ignore('nodes_hitrates');
  const lists = [ids, modes, thresholds, columns, yes, no];
  if (lists.length !== NODE_ATTRIBUTES || lists.some(({ length }) => length !== trees.length))
    throw node.refuse('lists of nodes of several lengths');
  const find = finder(node, trees, ids);
  const whenTrue = new Int32Array(trees.length);
  const whenFalse = new Int32Array(trees.length);
  for (const [index, tree] of trees.entries()) {
    if (modes[index] === LEAF) continue;
    whenTrue[index] = find(tree, yes[index] ?? -1);
    whenFalse[index] = find(tree, no[index] ?? -1);
  }
  return {
    ...{ modes, columns, thresholds, whenTrue, whenFalse, missing },
    roots: rootsOf(node, trees, modes, whenTrue, whenFalse),
    ...readWeights(node, kind, find, trees.length),
    width: columns.reduce(
      (width, column, index) => (modes[index] === LEAF ? width : Math.max(width, column + 1)),
      0,
    ),
  };
}

/** Finds a node by its tree and id. Most exporters write the nodes of a tree in the order of their ids. */
function finder(
  node: Node,
  trees: readonly number[],
  ids: readonly number[],
): (tree: number, id: number) => number {
  const starts = new Map<number, number>();
  const others = new Map<string, number>();
  for (const [index, tree] of trees.entries()) {
    const start = starts.get(tree) ?? index - (ids[index] ?? 0);
    starts.set(tree, start);
    if (start + (ids[index] ?? 0) !== index) others.set(`${tree}/${ids[index]}`, index);
  }
  return (tree, id) => {
    const guess = (starts.get(tree) ?? -1) + id;
    if (trees[guess] === tree && ids[guess] === id) return guess;
    const found = others.get(`${tree}/${id}`);
    if (found === undefined) throw node.refuse(`a tree without its node ${id}`);
    return found;
  };
}

/**
 * The node of each tree that no other leads to.
 *
 * @throws NotEvaluated if two nodes lead to one: a row could then come back to a node, and never end at a leaf.
 */
function rootsOf(node: Node, trees: readonly number[], modes: Uint8Array, yes: Int32Array, no: Int32Array) {
  const parents = new Uint8Array(trees.length);
  for (let index = 0; index < trees.length; index += 1) {
    if (modes[index] === LEAF) continue;
    for (const child of [yes[index] ?? 0, no[index] ?? 0]) {
      if (parents[child] !== 0) throw node.refuse('two nodes that lead to one');
      parents[child] = 1;
    }
  }
  const roots = new Map<number, number>();
  for (const [index, tree] of trees.entries())
    if (parents[index] === 0 && !roots.has(tree)) roots.set(tree, index);
  return Int32Array.from(roots.values());
}

function readWeights(
  node: Node,
  kind: 'target' | 'class',
  find: (tree: number, id: number) => number,
  nodes: number,
): Pick<Forest, 'firstWeight' | 'targets' | 'weights'> {
  const [trees, ids] = [node.integers(`${kind}_treeids`), node.integers(`${kind}_nodeids`)];
  const [targets, weights] = [node.integers(`${kind}_ids`), node.floats(`${kind}_weights`)];
  if ([ids, targets, weights].some(({ length }) => length !== trees.length))
    throw node.refuse('lists of weights of several lengths');
  const leaves = trees.map((tree, index) => find(tree, ids[index] ?? -1));
  const firstWeight = new Int32Array(nodes + 1);
  for (const leaf of leaves) firstWeight[leaf + 1] = (firstWeight[leaf + 1] ?? 0) + 1;
  for (let index = 0; index < nodes; index += 1)
    firstWeight[index + 1] = (firstWeight[index + 1] ?? 0) + (firstWeight[index] ?? 0);
  const next = firstWeight.slice();
  const sorted = { targets: new Int32Array(leaves.length), weights: new Float32Array(leaves.length) };
  for (const [index, leaf] of leaves.entries()) {
    const at = next[leaf] ?? 0;
    next[leaf] = at + 1;
    sorted.targets[at] = targets[index] ?? 0;
    sorted.weights[at] = weights[index] ?? 0;
  }
  return { firstWeight, ...sorted };
}

/** Whether a row takes the first branch of a node. */
export function holdsAt(forest: Forest, node: number, value: number): boolean {
  if (Number.isNaN(value) && forest.missing[node] === 1) return true;
  const threshold = forest.thresholds[node] ?? 0;
  switch (forest.modes[node]) {
    case LEQ:
      return value <= threshold;
    case LT:
      return value < threshold;
    case GTE:
      return value >= threshold;
    case GT:
      return value > threshold;
    case EQ:
      return value === threshold;
    default:
      return value !== threshold;
  }
}

export function isLeaf({ modes }: Forest, node: number): boolean {
  return modes[node] === LEAF;
}

/** How the weights of trees become a score. */
export type Aggregate = 'SUM' | 'AVERAGE' | 'MIN' | 'MAX';

/**
 * Adds what each tree says of a row to its scores.
 *
 * @param start where the row begins in `data`.
 * @param isScored notes the targets that a tree has scored.
 */
export function scoreRow(
  forest: Forest,
  data: Float32Array,
  start: number,
  { aggregate, scores, isScored }: { aggregate: Aggregate; scores: Float32Array; isScored: Uint8Array },
): void {
  const { roots, columns, whenTrue, whenFalse, firstWeight, targets, weights } = forest;
  for (const root of roots) {
    let node = root;
    while (!isLeaf(forest, node)) {
      const value = data[start + (columns[node] ?? 0)] ?? 0;
      node = (holdsAt(forest, node, value) ? whenTrue[node] : whenFalse[node]) ?? 0;
    }
    for (let at = firstWeight[node] ?? 0; at < (firstWeight[node + 1] ?? 0); at += 1) {
      const target = targets[at] ?? 0;
      const [weight, before] = [weights[at] ?? 0, scores[target] ?? 0];
      if (isScored[target] === 0) scores[target] = weight;
      else if (aggregate === 'MIN') scores[target] = Math.min(before, weight);
      else if (aggregate === 'MAX') scores[target] = Math.max(before, weight);
      else scores[target] = fround(before + weight);
      isScored[target] = 1;
    }
  }
}

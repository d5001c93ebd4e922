import type { Random } from '../../../src/platform/random.ts';
import { graphBytes } from './graph.ts';

const MODES = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ'] as const;

export interface ForestShape {
  readonly trees: number;
  readonly depth: number;
  readonly columns: number;
  /** 1 is a regression of one target, 2 a classification of two classes, more that of as many classes. */
  readonly outputs: number;
  readonly transform?: 'NONE' | 'LOGISTIC' | 'SOFTMAX';
  readonly isRegression: boolean;
  readonly base?: boolean;
}

/** Random trees as exporters write them, with thresholds at whole numbers, so that rows of whole numbers meet them. */
export function forestGraph(shape: ForestShape, random: Random): Uint8Array<ArrayBuffer> {
  const { trees, depth, columns, outputs, isRegression, transform = 'NONE', base = false } = shape;
  const whole = (below: number) => Math.floor(random() * below);
  const nodes: {
    tree: number;
    id: number;
    mode: string;
    yes: number;
    no: number;
    column: number;
    at: number;
  }[] = [];
  const weights: { tree: number; id: number; target: number; weight: number }[] = [];
  for (let tree = 0; tree < trees; tree += 1) {
    let next = 0;
    const grow = (level: number): number => {
      const id = next;
      next += 1;
      const mode = MODES[whole(MODES.length)] ?? MODES[0];
      const node = {
        tree,
        id,
        mode: mode as string,
        yes: 0,
        no: 0,
        column: whole(columns),
        at: whole(5) - 2,
      };
      nodes.push(node);
      if (level === depth || random() < 0.15) {
        const each = isRegression || outputs > 2 ? outputs : 1;
        for (let target = 0; target < each; target += 1)
          weights.push({ tree, id, target, weight: Math.fround(random() - 0.5) });
        Object.assign(node, { mode: 'LEAF', column: 0, at: 0 });
      } else Object.assign(node, { yes: grow(level + 1), no: grow(level + 1) });
      return id;
    };
    grow(0);
  }
  const integers = <T>(of: readonly T[], pick: (one: T) => number) => of.map((one) => BigInt(pick(one)));
  const kind = isRegression ? 'target' : 'class';
  const bases = outputs === 2 && !isRegression ? 1 : outputs;
  return graphBytes({
    inputs: [['input', 'FLOAT', ['batch', columns]]],
    outputs: isRegression
      ? [['variable', 'FLOAT', ['batch', outputs]]]
      : [
          ['label', 'INT64', ['batch']],
          ['probabilities', 'FLOAT', ['batch', outputs]],
        ],
    nodes: [
      {
        op: isRegression ? 'TreeEnsembleRegressor' : 'TreeEnsembleClassifier',
        domain: 'ai.onnx.ml',
        inputs: ['input'],
        outputs: isRegression ? ['variable'] : ['label', 'probabilities'],
        attributes: {
          nodes_treeids: integers(nodes, ({ tree }) => tree),
          nodes_nodeids: integers(nodes, ({ id }) => id),
          nodes_modes: nodes.map(({ mode }) => mode),
          nodes_truenodeids: integers(nodes, ({ yes }) => yes),
          nodes_falsenodeids: integers(nodes, ({ no }) => no),
          nodes_featureids: integers(nodes, ({ column }) => column),
          nodes_values: nodes.map(({ at }) => at),
          nodes_missing_value_tracks_true: nodes.map(() => BigInt(whole(2))),
          [`${kind}_treeids`]: integers(weights, ({ tree }) => tree),
          [`${kind}_nodeids`]: integers(weights, ({ id }) => id),
          [`${kind}_ids`]: integers(weights, ({ target }) => target),
          [`${kind}_weights`]: weights.map(({ weight }) => weight),
          post_transform: transform,
          ...(isRegression
            ? { n_targets: BigInt(outputs) }
            : { classlabels_int64s: Array.from({ length: outputs }, (_, at) => BigInt(at)) }),
          ...(base ? { base_values: Array.from({ length: bases }, (_, at) => 0.25 + at) } : {}),
        },
      },
    ],
  });
}

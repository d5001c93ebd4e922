import * as z from 'zod';
import { arrayIn, type Checkpoint, encodeCheckpoint, fingerprintOf, invalid } from '../checkpoint.ts';
import type { TrainingColumns } from '../columns.ts';
import { startTrees, type TreesState } from './boost.ts';
import type { Tree } from './tree.ts';

const Header = z.strictObject({
  kind: z.literal('trees'),
  seed: z.number(),
  recipe: z.unknown(),
  fingerprint: z.number(),
  isDone: z.boolean(),
  nodes: z.array(z.int().positive()),
  losses: z.array(z.strictObject({ training: z.number(), validation: z.number().optional() })),
});

/** What has been learned so far, without the training set: about 20 bytes for each node and 8 for each row. */
export function checkpointTrees(state: TreesState): Uint8Array<ArrayBuffer> {
  const { recipe, seed, trees, losses, scores, isDone } = state;
  const nodes = trees.map(({ columns }) => columns.length);
  const all = <T extends Uint8Array | Int16Array | Float32Array>(made: T, pick: (tree: Tree) => T): T => {
    let at = 0;
    for (const tree of trees) {
      made.set(pick(tree), at);
      at += tree.columns.length;
    }
    return made;
  };
  const length = nodes.reduce((sum, of) => sum + of, 0);
  return encodeCheckpoint({
    header: { kind: 'trees', seed, recipe, fingerprint: fingerprint(state), isDone, nodes, losses },
    arrays: {
      columns: all(new Int16Array(length), ({ columns }) => columns),
      bins: all(new Uint8Array(length), ({ bins }) => bins),
      thresholds: all(new Float32Array(length), ({ thresholds }) => thresholds),
      missingLeft: all(new Uint8Array(length), ({ missingLeft }) => missingLeft),
      left: all(new Int16Array(length), ({ left }) => left),
      right: all(new Int16Array(length), ({ right }) => right),
      values: all(new Float32Array(length), ({ values }) => values),
      scores,
    },
  });
}

/** @throws TrainingRefused `invalid_checkpoint` if it is no checkpoint of trees, or is one of another set. */
export function resumeTrees(checkpoint: Checkpoint, set: TrainingColumns): TreesState {
  const { success, data } = Header.safeParse(checkpoint.header);
  if (!success) throw invalid();
  const fresh = startTrees(data.recipe, set, data.seed);
  if (fingerprint(fresh) !== data.fingerprint)
    throw invalid('The checkpoint is of a training on another set of rows.');
  const length = data.nodes.reduce((sum, of) => sum + of, 0);
  const arrays = {
    columns: arrayIn(checkpoint, 'columns', Int16Array, length),
    bins: arrayIn(checkpoint, 'bins', Uint8Array, length),
    thresholds: arrayIn(checkpoint, 'thresholds', Float32Array, length),
    missingLeft: arrayIn(checkpoint, 'missingLeft', Uint8Array, length),
    left: arrayIn(checkpoint, 'left', Int16Array, length),
    right: arrayIn(checkpoint, 'right', Int16Array, length),
    values: arrayIn(checkpoint, 'values', Float32Array, length),
  };
  let start = 0;
  const trees = data.nodes.map((nodes): Tree => {
    const [from, end] = [start, start + nodes];
    start = end;
    return {
      columns: arrays.columns.slice(from, end),
      bins: arrays.bins.slice(from, end),
      thresholds: arrays.thresholds.slice(from, end),
      missingLeft: arrays.missingLeft.slice(from, end),
      left: arrays.left.slice(from, end),
      right: arrays.right.slice(from, end),
      values: arrays.values.slice(from, end),
    };
  });
  return {
    ...fresh,
    trees,
    losses: data.losses.map(({ training, validation }) => ({ training, validation })),
    scores: arrayIn(checkpoint, 'scores', Float64Array, fresh.scores.length),
    isDone: data.isDone,
  };
}

function fingerprint({ data, rows, trainingRows }: TreesState): number {
  return fingerprintOf([
    Float64Array.of(trainingRows),
    ...data.borders,
    data.bins,
    rows.labels,
    rows.weights,
  ]);
}

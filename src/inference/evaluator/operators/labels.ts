import type { Tensor } from '../../tensors.ts';
import type { Node } from '../node.ts';

/** The class labels of a classifier. */
export interface Labels {
  readonly count: number;
  /** The output of one label for each row, by the indexes of the labels. */
  of(indexes: readonly number[]): Tensor;
}

export function labelsOf(node: Node, integersName: string): Labels {
  const texts = node.texts('classlabels_strings');
  const integers = node.integers(integersName);
  if (texts.length > 0)
    return {
      count: texts.length,
      of: (indexes) => ({
        datatype: 'BYTES',
        shape: [indexes.length],
        data: indexes.map((index) => texts[index] ?? ''),
      }),
    };
  return {
    count: integers.length,
    of: (indexes) => ({
      datatype: 'INT64',
      shape: [indexes.length],
      data: BigInt64Array.from(indexes, (index) => BigInt(integers[index] ?? 0)),
    }),
  };
}

/** The first of the greatest scores. */
export function greatestOf(scores: Float32Array): number {
  let best = 0;
  for (let index = 1; index < scores.length; index += 1)
    if ((scores[index] ?? 0) > (scores[best] ?? 0)) best = index;
  return best;
}

import type { Node } from '../node.ts';
import type { Link } from '../sums.ts';

const { fround } = Math;

/** What follows the scores of a row, in place. */
export type PostTransform = (scores: Float32Array) => void;

export function logistic(value: number): number {
  const positive = fround(1 / (1 + Math.exp(-Math.abs(value))));
  return value < 0 ? fround(1 - positive) : positive;
}

const LINKS: Readonly<Record<string, Link>> = { LOGISTIC: 'logistic', SOFTMAX: 'softmax' };

/** What `post_transform` makes of sums. */
export function linkOf(node: Node): Link {
  return LINKS[node.text('post_transform', 'NONE')] ?? 'identity';
}

/** The transform by `post_transform`. @throws NotEvaluated for those that exporters do not use. */
export function postTransform(node: Node): PostTransform {
  const name = node.text('post_transform', 'NONE');
  switch (name) {
    case 'NONE':
      return () => undefined;
    case 'LOGISTIC':
      return (scores) => {
        for (let index = 0; index < scores.length; index += 1) scores[index] = logistic(scores[index] ?? 0);
      };
    case 'SOFTMAX':
      return (scores) => {
        const greatest = Math.max(...scores);
        let sum = 0;
        for (let index = 0; index < scores.length; index += 1) {
          scores[index] = Math.exp((scores[index] ?? 0) - greatest);
          sum += scores[index] ?? 0;
        }
        for (let index = 0; index < scores.length; index += 1) scores[index] = (scores[index] ?? 0) / sum;
      };
    default:
      throw node.refuse(`the transform ${name}`);
  }
}

import type { TrainingTask } from '../columns.ts';
import type { Derivatives } from './histogram.ts';

/** The rows whose loss is measured. */
export interface LabelledRows {
  readonly labels: Float32Array;
  /** 1 for all rows without it. */
  readonly weights: Float32Array | undefined;
}

/** A share is kept this far from 0 and 1, so that its logarithm is finite. */
const SHARE_MIN = 1e-6;

/** The score that all rows begin with, a float32: the mean of the labels, or its log odds. */
export function baseScore({ labels, weights }: LabelledRows, rows: number, task: TrainingTask): number {
  let [sum, total] = [0, 0];
  for (let row = 0; row < rows; row += 1) {
    const weight = weights?.[row] ?? 1;
    sum += weight * (labels[row] ?? 0);
    total += weight;
  }
  const mean = sum / total;
  if (task === 'regression') return Math.fround(mean);
  const share = Math.min(Math.max(mean, SHARE_MIN), 1 - SHARE_MIN);
  return Math.fround(Math.log(share / (1 - share)));
}

/** The derivatives of half the squared error, or of the log loss, by the scores of the first rows. */
export function derivativesOf(
  { labels, weights }: LabelledRows,
  scores: Float64Array,
  rows: number,
  task: TrainingTask,
): Derivatives {
  const [first, second] = [new Float64Array(rows), new Float64Array(rows)];
  for (let row = 0; row < rows; row += 1) {
    const weight = weights?.[row] ?? 1;
    const score = scores[row] ?? 0;
    if (task === 'regression') {
      first[row] = weight * (score - (labels[row] ?? 0));
      second[row] = weight;
    } else {
      const share = sigmoid(score);
      first[row] = weight * (share - (labels[row] ?? 0));
      second[row] = weight * share * (1 - share);
    }
  }
  return { first, second };
}

/** The weighted mean of the squared error, or of the log loss in nats, over rows `[start, end)`. */
export function meanLoss(
  { labels, weights }: LabelledRows,
  scores: Float64Array,
  [start, end]: readonly [number, number],
  task: TrainingTask,
): number {
  let [sum, total] = [0, 0];
  for (let row = start; row < end; row += 1) {
    const weight = weights?.[row] ?? 1;
    const [score, label] = [scores[row] ?? 0, labels[row] ?? 0];
    total += weight;
    sum +=
      weight *
      (task === 'regression'
        ? (score - label) ** 2
        : Math.max(score, 0) - score * label + Math.log1p(Math.exp(-Math.abs(score))));
  }
  return sum / total;
}

function sigmoid(score: number): number {
  return score >= 0 ? 1 / (1 + Math.exp(-score)) : Math.exp(score) / (1 + Math.exp(score));
}

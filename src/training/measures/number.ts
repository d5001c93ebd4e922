/** Measures of predicted numbers, in the unit of the labels. */
import { type Measure, meanOf } from './measure.ts';

/** The root of the mean squared error. */
export function rmseOf(predicted: ArrayLike<number>, labels: ArrayLike<number>): Measure {
  const mean = meanOf(Float64Array.from(labels, (label, row) => ((predicted[row] ?? 0) - label) ** 2));
  return (weights) => {
    const squared = mean(weights);
    return squared === undefined ? undefined : Math.sqrt(squared);
  };
}

/** The mean absolute error. */
export function maeOf(predicted: ArrayLike<number>, labels: ArrayLike<number>): Measure {
  return meanOf(Float64Array.from(labels, (label, row) => Math.abs((predicted[row] ?? 0) - label)));
}

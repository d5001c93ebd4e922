/** Measures of probabilities of 1, for labels of 0 and 1. */
import { type Measure, meanOf } from './measure.ts';

/** A probability is kept this far from 0 and 1, as scikit-learn does, so that a sure mistake has a finite loss. */
const PROBABILITY_MIN = 2 ** -52;

/** The log loss of each row, in nats. */
export function logLossesOf(probabilities: ArrayLike<number>, labels: ArrayLike<number>): Float64Array {
  return Float64Array.from(labels, (label, row) => {
    const given = Math.min(Math.max(probabilities[row] ?? 0, PROBABILITY_MIN), 1 - PROBABILITY_MIN);
    return -(label * Math.log(given) + (1 - label) * Math.log(1 - given));
  });
}

/** The log loss, in nats. */
export function logLossOf(probabilities: ArrayLike<number>, labels: ArrayLike<number>): Measure {
  return meanOf(logLossesOf(probabilities, labels));
}

/** The mean squared difference of probability and label (Brier, 1950). */
export function brierOf(probabilities: ArrayLike<number>, labels: ArrayLike<number>): Measure {
  return meanOf(Float64Array.from(labels, (label, row) => ((probabilities[row] ?? 0) - label) ** 2));
}

/**
 * The probability that a row of 1 has a higher score than a row of 0, a tie counting half: the area under the ROC curve.
 * Undefined where all rows that count have one label.
 */
export function aucOf(scores: ArrayLike<number>, labels: ArrayLike<number>): Measure {
  const order = Uint32Array.from(labels, (_, row) => row).sort(
    (a, b) => (scores[a] ?? 0) - (scores[b] ?? 0) || a - b,
  );
  return (weights) => {
    let [positive, negative, won] = [0, 0, 0];
    for (let start = 0; start < order.length; ) {
      const score = scores[order[start] ?? 0];
      let [tiedPositive, tiedNegative, end] = [0, 0, start];
      for (; end < order.length && scores[order[end] ?? 0] === score; end += 1) {
        const row = order[end] ?? 0;
        if (labels[row] === 1) tiedPositive += weights[row] ?? 0;
        else tiedNegative += weights[row] ?? 0;
      }
      won += tiedPositive * (negative + tiedNegative / 2);
      positive += tiedPositive;
      negative += tiedNegative;
      start = end;
    }
    return positive === 0 || negative === 0 ? undefined : won / (positive * negative);
  };
}

/** A bin of the reliability curve: rows whose probability is in `[from, to)`; the last bin includes 1. */
export interface ReliabilityBin {
  readonly from: number;
  readonly to: number;
  /** What its rows count together, 0 for an empty bin. */
  readonly weight: number;
  /** The mean probability, and the share of labels that are 1; undefined for an empty bin. */
  readonly predicted: number | undefined;
  readonly observed: number | undefined;
}

/** The bins of {@link eceOf} if it is not told. */
export const RELIABILITY_BINS = 10;

/** Compares probabilities with what happened, in bins of equal width. */
export function reliabilityOf(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  weights: ArrayLike<number>,
  bins = RELIABILITY_BINS,
): ReliabilityBin[] {
  const [total, predicted, observed] = [0, 1, 2].map(() => new Float64Array(bins));
  if (total === undefined || predicted === undefined || observed === undefined) return [];
  for (let row = 0; row < labels.length; row += 1) {
    const [given, weight] = [probabilities[row] ?? 0, weights[row] ?? 0];
    const bin = Math.min(bins - 1, Math.floor(given * bins));
    total[bin] = (total[bin] ?? 0) + weight;
    predicted[bin] = (predicted[bin] ?? 0) + weight * given;
    observed[bin] = (observed[bin] ?? 0) + weight * (labels[row] ?? 0);
  }
  return Array.from(total, (weight, bin) => ({
    ...{ from: bin / bins, to: (bin + 1) / bins, weight },
    predicted: weight === 0 ? undefined : (predicted[bin] ?? 0) / weight,
    observed: weight === 0 ? undefined : (observed[bin] ?? 0) / weight,
  }));
}

/** The expected calibration error (Naeini et al., 2015): how far the bins are from the diagonal, by weight. */
export function eceOf(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  bins = RELIABILITY_BINS,
): Measure {
  return (weights) => {
    const curve = reliabilityOf(probabilities, labels, weights, bins);
    const total = curve.reduce((sum, { weight }) => sum + weight, 0);
    if (total === 0) return undefined;
    const distance = curve.reduce(
      (sum, { weight, predicted = 0, observed = 0 }) => sum + weight * Math.abs(predicted - observed),
      0,
    );
    return distance / total;
  };
}

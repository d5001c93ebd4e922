/** A ranking network of one ReLU layer for tests and benches, which need numbers and no training. */

/** Every number is already a float32 value. */
export interface Network {
  /** Columns of a row. */
  readonly width: number;
  readonly hidden: number;
  /** Per column: the row enters as `(x − mean) × scale`. */
  readonly mean: Float32Array;
  readonly scale: Float32Array;
  readonly parameters: Float32Array;
}

/** Where each block of parameters lies: input weights `[width, hidden]`, their biases, output weights, bias. */
export function parameterLayout(width: number, hidden: number) {
  const hiddenBias = width * hidden;
  const output = hiddenBias + hidden;
  const outputBias = output + hidden;
  return { hiddenBias, output, outputBias, length: outputBias + 1 };
}

/**
 * The network's answer, rounded to float32 after every operation as the ONNX runtime does; the runtime may add
 * in another order, so the two agree to about 1e-6, not to the bit.
 *
 * @param features `[rows, width]`, row-major.
 * @returns one score (0 to 1) per row.
 */
export function scoreRows(network: Network, features: Float32Array): Float32Array {
  const { width, hidden, mean, scale, parameters } = network;
  const layout = parameterLayout(width, hidden);
  const { fround } = Math;
  const input = new Float32Array(width);
  return Float32Array.from({ length: features.length / width }, (_, row) => {
    for (let column = 0; column < width; column += 1) {
      const centred = fround((features[row * width + column] ?? 0) - (mean[column] ?? 0));
      input[column] = centred * (scale[column] ?? 0);
    }
    let logit = 0;
    for (let unit = 0; unit < hidden; unit += 1) {
      let sum = 0;
      for (let column = 0; column < width; column += 1) {
        const term = fround((input[column] ?? 0) * (parameters[unit * width + column] ?? 0));
        sum = fround(sum + term);
      }
      sum = fround(sum + (parameters[layout.hiddenBias + unit] ?? 0));
      if (sum > 0) logit = fround(logit + fround(sum * (parameters[layout.output + unit] ?? 0)));
    }
    return sigmoid(fround(logit + (parameters[layout.outputBias] ?? 0)));
  });
}

function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

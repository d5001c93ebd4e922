import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/platform/random.ts';
import {
  lossAndGradient,
  parameterLayout,
  scoreRows,
  TRAINER_DEFAULTS,
  trainNetwork,
} from '../../../src/training/network.ts';

const WIDTH = 4;

/** Rows whose label is decided by a product of two columns: a linear model could not find it. */
function crossedRows(count: number) {
  const random = seededRandom(5);
  const features = Float32Array.from({ length: count * WIDTH }, () => 2 * random() - 1);
  const labels = Uint8Array.from({ length: count }, (_, row) =>
    (features[row * WIDTH] ?? 0) * (features[row * WIDTH + 1] ?? 0) > 0 ? 1 : 0,
  );
  const weights = Float32Array.from({ length: count }, () => 1 + random());
  return { features, labels, weights, rows: count };
}

describe('lossAndGradient', () => {
  test('equals central differences', () => {
    const rows = crossedRows(30);
    const shape = { width: WIDTH, hidden: 3 };
    const random = seededRandom(9);
    const { length } = parameterLayout(WIDTH, shape.hidden);
    const parameters = Float64Array.from({ length }, () => 2 * random() - 1);
    const batch = Uint32Array.from({ length: rows.rows }, (_, row) => row);
    const gradient = new Float64Array(length);
    lossAndGradient(parameters, shape, rows.features, rows, batch, gradient);
    const lossAt = (position: number, step: number) => {
      const moved = parameters.with(position, (parameters[position] ?? 0) + step);
      return lossAndGradient(moved, shape, rows.features, rows, batch, new Float64Array(length));
    };
    for (const [position, slope] of gradient.entries()) {
      expect((lossAt(position, 1e-6) - lossAt(position, -1e-6)) / 2e-6).toBeCloseTo(slope, 7);
    }
  });
});

describe('trainNetwork', () => {
  const rows = crossedRows(3_000);
  const options = { ...TRAINER_DEFAULTS, seed: 1, epochs: 20 };

  test('learns a function that a linear model cannot', () => {
    const scores = scoreRows(trainNetwork(rows, WIDTH, options), rows.features);
    const right = scores.filter((score, row) => score > 0.5 === (rows.labels[row] === 1)).length;
    expect(right / rows.rows).toBeGreaterThan(0.93);
  });

  test('the same rows and seed give the same network, another seed another one', () => {
    const first = trainNetwork(rows, WIDTH, options);
    expect(trainNetwork(rows, WIDTH, options)).toEqual(first);
    expect(trainNetwork(rows, WIDTH, { ...options, seed: 2 }).parameters).not.toEqual(first.parameters);
  });

  test('a constant column does not change the scores', () => {
    const flat = { ...rows, features: rows.features.map((value, at) => (at % WIDTH === 2 ? 7 : value)) };
    const network = trainNetwork(flat, WIDTH, { ...options, epochs: 1 });
    expect(network.scale[2]).toBe(0);
    expect(scoreRows(network, flat.features).every(Number.isFinite)).toBe(true);
  });
});

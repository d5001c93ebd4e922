import { type BundleParts, makeBundle } from '../../../scripts/models/bundle.ts';
import { expectedSpend, mood } from '../catalog/models.ts';
import { classifierGraph, regressionGraph } from '../onnx/graph.ts';

/** What the fixture's regression is made of, but for what a test adds. */
const EXPECTED_SPEND: BundleParts = {
  onnx: regressionGraph(),
  golden: {
    inputs: {
      features: [
        [1, 1],
        [0, 10],
      ],
      count: [[5], [0]],
    },
    outputs: { variable: [[11], [31]], doubled: [[22], [62]] },
    tolerance: 1e-5,
  },
};

/** The body that publishes the fixture's regression, as `npm run bundle` makes it. */
export async function expectedSpendBundle(more: Partial<BundleParts> = {}) {
  return (await makeBundle(expectedSpend, { ...EXPECTED_SPEND, ...more })).body;
}

/** The body that publishes the fixture's classification, or another graph of its form. */
export async function moodBundle(onnx = classifierGraph()) {
  const { body } = await makeBundle(mood, {
    onnx,
    golden: {
      inputs: {
        input: [
          [-5, 0],
          [0, 0],
          [3, 4],
        ],
      },
      outputs: { label: ['low', 'medium', 'high'] },
      tolerance: 1e-5,
    },
  });
  return body;
}

import { createHash } from 'node:crypto';
import { type CandidateTable, RANKER_COLUMNS } from '../catalog/models.ts';
import { type Network, scoreRows } from '../onnx/network.ts';
import { MODEL_INPUT, MODEL_OUTPUT, writeOnnx } from '../onnx/network-writer.ts';

const WIDTH = RANKER_COLUMNS.length;

/** Products that the tests buy and ask about, and two that they do not. */
const TABLE: CandidateTable = {
  popular: [
    { sku: '10001A', buyers: 40 },
    { sku: '10002B', buyers: 30 },
    { sku: 'OTHER-1', buyers: 20 },
    { sku: 'OTHER-2', buyers: 10 },
  ],
};

/** Scores rise with each of the three columns. The parameters are chosen by hand; nothing is trained. */
const NETWORK: Network = {
  width: WIDTH,
  hidden: 2,
  mean: Float32Array.of(0, 0, 20),
  scale: Float32Array.of(0.25, 0.5, 0.05),
  // Weights of the columns into each of two units, the units' biases, their weights into the score, its bias.
  parameters: Float32Array.of(...[0.5, 0.25, 0], ...[0, 1, 0.5], ...[0.25, 0.5], ...[0.5, 1], -1),
};

/** Rows with each column at zero, in its usual range and far outside of it. */
const GOLDEN_ROWS = [
  [0, 0, 0],
  [1, 1, 40],
  [2, 0, 10],
  [30, 12, 1],
  [1_000, 100, 5_000],
];
/** The largest difference between float32 arithmetic here and in the ONNX runtime. */
const TOLERANCE = 1e-5;

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

/**
 * The body that publishes the fixture's ranking model: `PUT /v1/admin/models/ranker/champion`. Each call returns a
 * new object, so that a test may change it, with the same content.
 *
 * @param table the candidates.
 */
export function rankerBundle(table: CandidateTable = TABLE) {
  const model = writeOnnx(NETWORK, { name: 'ranker', columns: RANKER_COLUMNS.join(',') });
  const candidates = Buffer.from(JSON.stringify(table));
  const digests = {
    model: { sha256: sha256(model), bytes: model.length },
    candidates: { sha256: sha256(candidates), bytes: candidates.length },
  };
  return {
    manifest: {
      name: 'ranker',
      version: sha256(digests.model.sha256 + digests.candidates.sha256).slice(0, 12),
      ...digests,
      inputs: [{ name: MODEL_INPUT, datatype: 'FP32', shape: [-1, WIDTH], columns: [...RANKER_COLUMNS] }],
      outputs: [{ name: MODEL_OUTPUT, datatype: 'FP32', shape: [-1] }],
      metrics: {},
      baseline: {},
      trainedFrom: {},
    },
    golden: {
      inputs: { [MODEL_INPUT]: GOLDEN_ROWS.map((row) => [...row]) },
      outputs: { [MODEL_OUTPUT]: [...scoreRows(NETWORK, Float32Array.from(GOLDEN_ROWS.flat()))] },
      tolerance: TOLERANCE,
    },
    model: Buffer.from(model).toString('base64'),
    candidates: candidates.toString('base64'),
  };
}

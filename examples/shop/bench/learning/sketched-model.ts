/** Versions of the ranking from made-up rows: one that puts first what a customer is likely to buy, or a bad one that puts it last. */
import { randomUUID } from 'node:crypto';
import { nodeRuntime } from '../../../../scripts/models/node-runtime.ts';
import { type Manifest, versionOf } from '../../../../src/inference/bundle.ts';
import { Evaluator } from '../../../../src/inference/evaluator/evaluator.ts';
import { sha256Hex } from '../../../../src/platform/digest.ts';
import { seededRandom } from '../../../../src/platform/random.ts';
import { finishTraining, runTraining } from '../../../../src/training/run.ts';
import { ranker } from '../../catalog/models.ts';
import { RANKER_COLUMNS } from '../../catalog/ranker.ts';

const ROWS = 4_000;
const GOLDEN_ROWS = 4;
const [INPUT, OUTPUT] = ['features', 'score'];
/**
 * How much a product's share counts. For the bad version it counts enough to order the products that a customer never
 * bought: those with equal scores would be listed by their names, and a list of popular products hits by chance.
 */
const [SHARE, SHARE_OF_BAD] = [0.3, 1.5];

export interface Sketch {
  /** Of what it ranks. */
  readonly candidates: NonNullable<Manifest['candidates']>;
  /** The candidates themselves, unless they are registered with another version. */
  readonly bytes?: Uint8Array;
  readonly isBad: boolean;
  readonly seed: number;
}

const WIDTH = RANKER_COLUMNS.length;
const SIGNATURE = {
  inputs: [{ name: INPUT, datatype: 'FP32' as const, shape: [-1, WIDTH] }],
  outputs: [{ name: OUTPUT, datatype: 'FP32' as const, shape: [-1, 1] }],
};

/** The graph of a version, and the rows that it was trained from. */
async function train(seed: number, isBad: boolean) {
  const { columns, likely } = madeUpRows(seed, isBad ? SHARE_OF_BAD : SHARE);
  // A bad version has learned the opposite.
  const labels = Float32Array.from(likely, (isLikely) => (isLikely === isBad ? 0 : 1));
  const set = { names: RANKER_COLUMNS, columns, labels, trainingRows: ROWS };
  const state = await runTraining({ kind: 'trees', task: 'binary', trees: 30 }, set, seed, nodeRuntime);
  const model = finishTraining(state, { purpose: randomUUID() }, { input: INPUT, output: OUTPUT });
  return { model, columns };
}

/** The graph of a sketch without what registers it. */
export const sketchedModel = {
  ...SIGNATURE,
  train: async (seed: number, isBad: boolean) => (await train(seed, isBad)).model,
};

/** The body that registers the version. */
export async function sketchedBundle({ candidates, bytes, isBad, seed }: Sketch): Promise<object> {
  const { model, columns } = await train(seed, isBad);
  const artifact = { sha256: await sha256Hex(model), bytes: model.length };
  const data = Float32Array.from({ length: GOLDEN_ROWS * WIDTH }, (_, at) => columns[at % WIDTH]?.[at] ?? 0);
  const made = Evaluator.read(model, SIGNATURE).run({
    [INPUT]: { datatype: 'FP32', shape: [GOLDEN_ROWS, WIDTH], data },
  });
  const rows = Array.from({ length: GOLDEN_ROWS }, (_, row) => [
    ...data.subarray(row * WIDTH, (row + 1) * WIDTH),
  ]);
  const scores = Float32Array.from(made[OUTPUT]?.data ?? [], Number);
  const manifest = {
    ...{
      name: ranker.name,
      version: await versionOf({ model: artifact, candidates }),
      model: artifact,
      candidates,
    },
    inputs: [{ ...SIGNATURE.inputs[0], columns: [...RANKER_COLUMNS] }],
    outputs: SIGNATURE.outputs,
  };
  return {
    manifest,
    golden: {
      inputs: { [INPUT]: rows },
      outputs: { [OUTPUT]: Array.from(scores, (score) => [score]) },
      tolerance: 1e-4,
    },
    model: Buffer.from(model).toString('base64'),
    ...(bytes === undefined ? {} : { candidates: Buffer.from(bytes).toString('base64') }),
    card: isBad ? 'Deliberately bad: it puts last what a customer is most likely to buy.' : 'A sketch.',
  };
}

/**
 * Rows in which a product is likely to be bought that the customer bought often, and others that many buy with it.
 *
 * @param ofShare how much the product's share of all purchases counts.
 */
function madeUpRows(seed: number, ofShare: number): { columns: Float32Array[]; likely: boolean[] } {
  const random = seededRandom(seed);
  const columns = RANKER_COLUMNS.map(() => Float32Array.from({ length: ROWS }, () => 6 * random()));
  const of = (name: (typeof RANKER_COLUMNS)[number]) =>
    columns[RANKER_COLUMNS.indexOf(name)] ?? new Float32Array();
  const [bought, count, affinity] = [of('own_bought'), of('own_count_log'), of('affinity_sum_log')];
  const share = of('product_share_28d_log');
  const likely = Array.from({ length: ROWS }, (_, row) => {
    const isOwn = random() < 0.5;
    bought[row] = isOwn ? 1 : 0;
    count[row] = isOwn ? 0.7 + 1.8 * random() : 0;
    affinity[row] = 2 * random();
    const score =
      2 * (bought[row] ?? 0) + (count[row] ?? 0) + (affinity[row] ?? 0) + ofShare * (share[row] ?? 0);
    return score > 3 + random();
  });
  return { columns, likely };
}

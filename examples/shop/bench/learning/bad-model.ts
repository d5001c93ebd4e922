/** A deliberately bad version of the ranking: it puts last what a customer is most likely to buy. */
import { randomUUID } from 'node:crypto';
import { nodeRuntime } from '../../../../scripts/models/node-runtime.ts';
import { type Manifest, versionOf } from '../../../../src/inference/bundle.ts';
import { Evaluator } from '../../../../src/inference/evaluator/evaluator.ts';
import { sha256Hex } from '../../../../src/platform/digest.ts';
import { seededRandom } from '../../../../src/platform/random.ts';
import { finishTraining, runTraining } from '../../../../src/training/run.ts';
import { RANKER_COLUMNS } from '../../catalog/ranker.ts';

const ROWS = 4_000;
const GOLDEN_ROWS = 4;
/** What makes a product likely to be bought; the bad version has learned the opposite. */
const GOOD = ['own_bought', 'product_share_28d_log', 'affinity_sum_log', 'own_count_log'] as const;
const [INPUT, OUTPUT] = ['features', 'score'];

/** @param like the manifest of the version whose candidates it ranks. */
export async function badBundle(like: Manifest, seed: number): Promise<object> {
  const random = seededRandom(seed);
  const columns = RANKER_COLUMNS.map((name) =>
    Float32Array.from({ length: ROWS }, () => (name === 'own_bought' ? Math.round(random()) : 6 * random())),
  );
  const good = GOOD.map((name) => columns[RANKER_COLUMNS.indexOf(name)]);
  const labels = Float32Array.from({ length: ROWS }, (_, row) =>
    good.reduce((sum, column) => sum + (column?.[row] ?? 0), 0) < 9 ? 1 : 0,
  );
  const set = { names: RANKER_COLUMNS, columns, labels, trainingRows: ROWS };
  const state = await runTraining({ kind: 'trees', task: 'binary', trees: 30 }, set, seed, nodeRuntime);
  const model = finishTraining(state, { purpose: randomUUID() }, { input: INPUT, output: OUTPUT });
  const artifact = { sha256: await sha256Hex(model), bytes: model.length };
  const { candidates } = like;
  if (candidates === undefined) throw new Error('The version has no candidates.');
  const width = RANKER_COLUMNS.length;
  const data = Float32Array.from({ length: GOLDEN_ROWS * width }, (_, at) => columns[at % width]?.[at] ?? 0);
  const signature = {
    inputs: [{ name: INPUT, datatype: 'FP32' as const, shape: [-1, width] }],
    outputs: [{ name: OUTPUT, datatype: 'FP32' as const, shape: [-1, 1] }],
  };
  const made = Evaluator.read(model, signature).run({
    [INPUT]: { datatype: 'FP32', shape: [GOLDEN_ROWS, width], data },
  });
  const rows = Array.from({ length: GOLDEN_ROWS }, (_, row) => [
    ...data.subarray(row * width, (row + 1) * width),
  ]);
  const scores = Float32Array.from(made[OUTPUT]?.data ?? [], Number);
  const manifest = {
    ...{
      name: like.name,
      version: await versionOf({ model: artifact, candidates }),
      model: artifact,
      candidates,
    },
    inputs: [{ ...signature.inputs[0], columns: [...RANKER_COLUMNS] }],
    outputs: signature.outputs,
  };
  return {
    manifest,
    golden: {
      inputs: { [INPUT]: rows },
      outputs: { [OUTPUT]: Array.from(scores, (score) => [score]) },
      tolerance: 1e-4,
    },
    model: Buffer.from(model).toString('base64'),
    card: 'Deliberately bad: it puts last what a customer is most likely to buy.',
  };
}

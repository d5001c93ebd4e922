/** Assembles what a training run hands over: the model, its candidate table, its manifest and its golden rows. */

import { versionOf } from '../../../src/inference/bundle.ts';
import { Evaluator } from '../../../src/inference/evaluator/evaluator.ts';
import { finishTraining, type TrainingState } from '../../../src/training/run.ts';
import { type CandidateTable, RANKER_COLUMNS, RANKER_WIDTH } from '../catalog/ranker.ts';
import type { RankingMetrics, RowScorer } from './evaluation.ts';

/** The graph's input, float32 `[batch, RANKER_WIDTH]`, and its output, float32 `[batch, 1]`, each 0 to 1. */
const MODEL_INPUT = 'features';
const MODEL_OUTPUT = 'score';

/** The most by which a runtime's score may differ from the golden one; both work in float32. */
export const GOLDEN_TOLERANCE = 1e-5;

/** A tensor of the model, in the words of the Open Inference Protocol; −1 is the dynamic batch. */
export interface TensorSignature {
  readonly name: string;
  readonly datatype: 'FP32';
  readonly shape: readonly number[];
  /** Of an input: what each column means, in order. */
  readonly columns?: readonly string[];
}

/** An artifact by content: lower-case hexadecimal SHA-256 and size. */
export interface ArtifactDigest {
  readonly sha256: string;
  readonly bytes: number;
}

/** How the model did on weeks that it never saw. */
export interface HeldOutEvaluation {
  /** The held-out weeks, as `[from, to)` in RFC 3339. */
  readonly from: string;
  readonly to: string;
  /** Customers that bought in these weeks; `new_customers` of them had bought nothing before. */
  readonly customers: number;
  readonly new_customers: number;
  readonly popularity: RankingMetrics;
  readonly own_repurchases_then_popularity: RankingMetrics;
  readonly model: RankingMetrics;
  /** Model and popularity on the new customers alone. */
  readonly model_new_customers: RankingMetrics;
  readonly popularity_new_customers: RankingMetrics;
  /** The lower end of the 95 % interval of the model's NDCG gain over popularity. */
  readonly ndcg_gain_lower_bound: number;
  /** The share of bought products among the candidates: the ceiling of any ranking. */
  readonly candidate_recall: number;
}

/** Describes one immutable version. */
export interface ModelManifest {
  readonly name: 'ranker';
  /** As `versionOf` makes it of the two digests below. */
  readonly version: string;
  readonly model: ArtifactDigest;
  readonly candidates: ArtifactDigest;
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** The model's figures on the held-out weeks. */
  readonly metrics: RankingMetrics;
  /** What popularity reached on the same customers. */
  readonly baseline: RankingMetrics;
  readonly evaluation: HeldOutEvaluation;
  /** The data's own span (RFC 3339) and size, and the seed. */
  readonly trainedFrom: {
    readonly rows: number;
    readonly from: string;
    readonly to: string;
    readonly seed: number;
  };
}

/** Rows and the scores that a runtime must reproduce. */
export interface GoldenRows {
  readonly inputs: { readonly features: readonly (readonly number[])[] };
  readonly outputs: { readonly score: readonly (readonly number[])[] };
  /** The largest absolute difference allowed. */
  readonly tolerance: number;
}

/** One version of the ranker, ready to be stored or published. */
export interface ModelBundle {
  readonly name: 'ranker';
  /** ONNX bytes. */
  readonly model: Uint8Array;
  /** A `CandidateTable` as UTF-8 JSON. */
  readonly candidates: Uint8Array;
  readonly manifest: ModelManifest;
  readonly golden: GoldenRows;
}

/** What the bundle is made of. */
export interface BundleParts {
  /** ONNX bytes. */
  readonly model: Uint8Array<ArrayBuffer>;
  readonly table: CandidateTable;
  readonly evaluation: HeldOutEvaluation;
  readonly trainedFrom: ModelManifest['trainedFrom'];
  /** Rows `[n, RANKER_WIDTH]` to become golden. */
  readonly goldenFeatures: Float32Array;
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Scores rows as the worker's evaluator does. */
export function rowScorer(model: Uint8Array): RowScorer {
  const evaluator = Evaluator.read(model, {
    inputs: [{ name: MODEL_INPUT, datatype: 'FP32', shape: [-1, RANKER_WIDTH] }],
    outputs: [{ name: MODEL_OUTPUT, datatype: 'FP32', shape: [-1, 1] }],
  });
  return (features) => {
    const shape = [features.length / RANKER_WIDTH, RANKER_WIDTH];
    const made = evaluator.run({ [MODEL_INPUT]: { datatype: 'FP32', shape, data: features } });
    return Float32Array.from(made[MODEL_OUTPUT]?.data ?? [], Number);
  };
}

/** Some rows, and the evaluator's scores of them. */
export function goldenRows(model: Uint8Array, features: Float32Array): GoldenRows {
  const rows = Array.from({ length: features.length / RANKER_WIDTH }, (_, row) => [
    ...features.subarray(row * RANKER_WIDTH, (row + 1) * RANKER_WIDTH),
  ]);
  return {
    inputs: { features: rows },
    outputs: { score: Array.from(rowScorer(model)(features), (score) => [score]) },
    tolerance: GOLDEN_TOLERANCE,
  };
}

/** The graph of a training that is done, with what it was trained from as its metadata. */
export function writeModel(
  state: TrainingState,
  trainedFrom: ModelManifest['trainedFrom'] & { readonly heldOutFrom: string },
): Uint8Array<ArrayBuffer> {
  const metadata = {
    name: 'ranker',
    task: 'score a product for a customer: probability of buying it in the next 28 days, given any purchase',
    columns: RANKER_COLUMNS.join(','),
    trained_rows: String(trainedFrom.rows),
    trained_from: trainedFrom.from,
    trained_to: trainedFrom.to,
    held_out_from: trainedFrom.heldOutFrom,
    seed: String(trainedFrom.seed),
  };
  return finishTraining(state, metadata, { input: MODEL_INPUT, output: MODEL_OUTPUT });
}

/** Writes both artifacts and their manifest. No clock is read: the same parts give the same bytes. */
export async function assembleBundle(parts: BundleParts): Promise<ModelBundle> {
  const { model, evaluation, trainedFrom } = parts;
  const candidates = new TextEncoder().encode(JSON.stringify(parts.table));
  const modelDigest = { sha256: await sha256(model), bytes: model.length };
  const candidatesDigest = { sha256: await sha256(candidates), bytes: candidates.length };
  const manifest: ModelManifest = {
    name: 'ranker',
    version: await versionOf({ model: modelDigest, candidates: candidatesDigest }),
    model: modelDigest,
    candidates: candidatesDigest,
    inputs: [{ name: MODEL_INPUT, datatype: 'FP32', shape: [-1, RANKER_WIDTH], columns: RANKER_COLUMNS }],
    outputs: [{ name: MODEL_OUTPUT, datatype: 'FP32', shape: [-1, 1] }],
    metrics: evaluation.model,
    baseline: evaluation.popularity,
    evaluation,
    trainedFrom,
  };
  return { name: 'ranker', model, candidates, manifest, golden: goldenRows(model, parts.goldenFeatures) };
}

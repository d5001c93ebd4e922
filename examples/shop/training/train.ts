/** One training run, from purchases to a bundle and a report. Pure: the data and the seed decide everything. */

import type { TrainingRuntime } from '../../../src/training/onnx/runtime.ts';
import { runTraining } from '../../../src/training/run.ts';
import { buildCandidateTable, TABLE_LIMITS } from '../catalog/candidate-table.ts';
import { ranker } from '../catalog/models.ts';
import { RANKER_COLUMNS, RANKER_WIDTH } from '../catalog/ranker.ts';
import {
  buildDataset,
  type CutoffPlan,
  casesAt,
  type Dataset,
  MIN_HISTORY_DAYS,
  planCutoffs,
} from './dataset.ts';
import {
  candidateRecall,
  meanMetrics,
  modelRanker,
  ndcgGainLowerBound,
  popularityRanker,
  type RowScorer,
  repurchaseRanker,
  scoreRanker,
} from './evaluation.ts';
import { assembleBundle, type HeldOutEvaluation, type ModelBundle, rowScorer, writeModel } from './model.ts';
import { groupPurchases, itemsBefore, type Purchase, type PurchaseHistory } from './purchases.ts';

/** Rows kept as golden: enough to cover all column groups. */
const GOLDEN_ROWS = 8;

/** What a run found, for people and for gates. */
export interface TrainingReport {
  readonly purchases: number;
  readonly customers: number;
  /** When each training cutoff was, RFC 3339. */
  readonly trainingCutoffs: readonly string[];
  readonly trainingRows: number;
  readonly evaluation: HeldOutEvaluation;
  /** Whether recall and NDCG are above popularity's, and the NDCG gain is no accident of the sample. */
  readonly beatsPopularity: boolean;
}

/** A run either gives a bundle or says why the data does not allow one. */
export type TrainingOutcome =
  | { readonly ok: true; readonly bundle: ModelBundle; readonly report: TrainingReport }
  | { readonly ok: false; readonly code: 'HISTORY_TOO_SHORT' | 'NO_EXAMPLES'; readonly message: string };

/**
 * Trains the ranker. The candidate table that ships is as of the end of the data; the weights are the ones that
 * were judged on the held-out weeks.
 */
export async function trainRanker(
  purchases: Iterable<Purchase>,
  options: { readonly seed: number; readonly runtime: TrainingRuntime },
): Promise<TrainingOutcome> {
  const history = groupPurchases(purchases);
  const plan = planCutoffs(history.from, history.to);
  if (plan === null) {
    const message = `The purchase history is too short: training needs ${MIN_HISTORY_DAYS} days of purchases.`;
    return { ok: false, code: 'HISTORY_TOO_SHORT', message };
  }
  const dataset = buildDataset(history, plan.training, options.seed, TABLE_LIMITS);
  const cases = casesAt(history, plan.heldOut);
  if (dataset.rows === 0 || cases.length === 0) {
    const message =
      'No customer bought in the training weeks and in the held-out weeks: there is nothing to learn from. Import more purchases.';
    return { ok: false, code: 'NO_EXAMPLES', message };
  }
  const state = await runTraining(ranker.training, columnsOf(dataset), options.seed, options.runtime);
  const trainedFrom = {
    rows: history.rows,
    from: timestamp(history.from),
    to: timestamp(history.to),
    seed: options.seed,
  };
  const model = writeModel(state, { ...trainedFrom, heldOutFrom: timestamp(plan.heldOut) });
  const evaluation = evaluate(history, plan, rowScorer(model), options.seed);
  const bundle = await assembleBundle({
    model,
    table: buildCandidateTable(itemsBefore(history, plan.end), plan.end, TABLE_LIMITS),
    evaluation,
    trainedFrom,
    goldenFeatures: pickRows(dataset),
  });
  return { ok: true, bundle, report: reportOf(history, plan, dataset, evaluation) };
}

/** The same rows, column by column, as trainers take them. All of them are learned from: the judged weeks come after. */
function columnsOf({ features, labels, weights, rows }: Dataset) {
  return {
    names: RANKER_COLUMNS,
    columns: RANKER_COLUMNS.map((_, at) =>
      Float32Array.from({ length: rows }, (_value, row) => features[row * RANKER_WIDTH + at] ?? 0),
    ),
    labels: Float32Array.from(labels),
    weights,
    trainingRows: rows,
  };
}

function timestamp(at: number): string {
  return new Date(at).toISOString();
}

function evaluate(
  history: PurchaseHistory,
  plan: CutoffPlan,
  scores: RowScorer,
  seed: number,
): HeldOutEvaluation {
  const table = buildCandidateTable(itemsBefore(history, plan.heldOut), plan.heldOut, TABLE_LIMITS);
  const cases = casesAt(history, plan.heldOut);
  const model = scoreRanker(cases, modelRanker(scores, table, plan.heldOut));
  const popularity = scoreRanker(cases, popularityRanker(table));
  const isNew = cases.map((one) => one.snapshot.last_purchase_at === null);
  return {
    from: timestamp(plan.heldOut),
    to: timestamp(plan.end),
    customers: cases.length,
    new_customers: isNew.filter(Boolean).length,
    popularity: meanMetrics(popularity),
    own_repurchases_then_popularity: meanMetrics(scoreRanker(cases, repurchaseRanker(table))),
    model: meanMetrics(model),
    model_new_customers: meanMetrics(model.filter((_, position) => isNew[position])),
    popularity_new_customers: meanMetrics(popularity.filter((_, position) => isNew[position])),
    ndcg_gain_lower_bound: ndcgGainLowerBound(model, popularity, seed),
    candidate_recall: candidateRecall(cases, table),
  };
}

/** Rows spread evenly over the training set. */
function pickRows(dataset: Dataset): Float32Array {
  const count = Math.min(GOLDEN_ROWS, dataset.rows);
  const picked = new Float32Array(count * RANKER_WIDTH);
  for (let position = 0; position < count; position += 1) {
    const row = Math.floor((position * dataset.rows) / count);
    picked.set(
      dataset.features.subarray(row * RANKER_WIDTH, (row + 1) * RANKER_WIDTH),
      position * RANKER_WIDTH,
    );
  }
  return picked;
}

function reportOf(
  history: PurchaseHistory,
  plan: CutoffPlan,
  dataset: Dataset,
  evaluation: HeldOutEvaluation,
): TrainingReport {
  const { model, popularity } = evaluation;
  return {
    purchases: history.rows,
    customers: history.customers.size,
    trainingCutoffs: plan.training.map(timestamp),
    trainingRows: dataset.rows,
    evaluation,
    beatsPopularity:
      model.recall_at_10 > popularity.recall_at_10 &&
      model.ndcg_at_10 > popularity.ndcg_at_10 &&
      evaluation.ndcg_gain_lower_bound > 0,
  };
}

/** The training run in words: the table for a terminal and the model card. */
import { RANKER_COLUMNS } from '../catalog/ranker.ts';
import { LABEL_DAYS } from './dataset.ts';
import type { RankingMetrics } from './evaluation.ts';
import type { HeldOutEvaluation, ModelBundle } from './model.ts';
import type { TrainingReport } from './train.ts';

function figures(metrics: RankingMetrics): string[] {
  return [metrics.recall_at_10, metrics.ndcg_at_10, metrics.hit_rate_at_10].map((value) => value.toFixed(4));
}

function comparison(evaluation: HeldOutEvaluation): [string, string[]][] {
  const rows: [string, string[]][] = [
    ['popularity', figures(evaluation.popularity)],
    ['own repurchases, then popularity', figures(evaluation.own_repurchases_then_popularity)],
    ['model', figures(evaluation.model)],
  ];
  if (evaluation.new_customers > 0) {
    rows.push(['popularity, new customers only', figures(evaluation.popularity_new_customers)]);
    rows.push(['model, new customers only', figures(evaluation.model_new_customers)]);
  }
  return rows;
}

/** The figures of the model and of what it had to beat, as text columns. */
export function metricsTable(report: TrainingReport): string {
  const { evaluation } = report;
  const line = (name: string, cells: readonly string[]) =>
    `  ${name.padEnd(34)}${cells.map((cell) => cell.padStart(13)).join('')}`;
  return [
    `Held out: ${evaluation.from} to ${evaluation.to}, ${evaluation.customers} customers that bought (${evaluation.new_customers} new)`,
    line('', ['recall@10', 'NDCG@10', 'hit rate@10']),
    ...comparison(evaluation).map(([name, cells]) => line(name, cells)),
    `  NDCG gain over popularity, 95 % lower bound: ${evaluation.ndcg_gain_lower_bound.toFixed(4)}`,
    `  Bought products among the candidates: ${(100 * evaluation.candidate_recall).toFixed(1)} %`,
  ].join('\n');
}

/** The model card (after Mitchell et al., 2019): intended use, data, metrics, limits. */
export function modelCard(bundle: ModelBundle, report: TrainingReport): string {
  const { manifest } = bundle;
  const { evaluation, trainedFrom } = manifest;
  const rows = comparison(evaluation).map(([name, cells]) => `| ${name} | ${cells.join(' | ')} |`);
  return `# Model card: ranker ${manifest.version}

## Intended use

Orders products for a customer of this shop: which will they buy in the next ${LABEL_DAYS} days? A score is the
probability that the customer buys the product, given that they buy anything at all. Scores of one customer may
be compared with each other; they say nothing about whether the customer returns. Not for prices, credit or
anything else that concerns a person's rights.

## Data

${trainedFrom.rows} purchase lines of ${report.customers} customers, ${trainedFrom.from} to ${trainedFrom.to}, seed ${trainedFrom.seed}.
Features as of ${report.trainingCutoffs.length} cutoffs (${report.trainingRows} rows); a row uses purchases before its cutoff only.
The ${RANKER_COLUMNS.length} columns describe the customer's purchases, the product's sales and how the two relate; no personal
attributes. The candidate table is as of the end of the data, the weights are the ones judged below.

## Metrics

Held-out weeks ${evaluation.from} to ${evaluation.to}: ${evaluation.customers} customers that bought,
${evaluation.new_customers} of them for the first time.

| | recall@10 | NDCG@10 | hit rate@10 |
| --- | ---: | ---: | ---: |
${rows.join('\n')}

The NDCG gain over popularity is at least ${evaluation.ndcg_gain_lower_bound.toFixed(4)} (95 %, customers resampled). Of the
bought products, ${(100 * evaluation.candidate_recall).toFixed(1)} % were among the candidates.

## Limits

- One held-out period of ${LABEL_DAYS} days: other seasons may differ.
- For a new customer the model has nothing personal to go by: it orders popular products, and their rows above
  tell whether that is better or worse than plain popularity.
- Products first sold after ${trainedFrom.to} are unknown until the next training.
- Only purchases count: views, stock and prices are not read.

## Form

ONNX opset 17: \`features\` float32 [batch, ${RANKER_COLUMNS.length}] → \`score\` float32 [batch, 1]; standardisation is in the graph.
${manifest.model.bytes} bytes, SHA-256 \`${manifest.model.sha256}\`.
Candidates: ${manifest.candidates.bytes} bytes, SHA-256 \`${manifest.candidates.sha256}\`.
`;
}

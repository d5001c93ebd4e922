/** The bundle of a trained model, as the registry takes it from everybody. */
import type { ModelDefinition } from '../../define/model.ts';
import { type Bundle, Manifest, versionOf } from '../../inference/bundle.ts';
import { sha256Hex } from '../../platform/digest.ts';
import { answerersOf, type Evaluation } from './evaluation.ts';
import type { Shown } from './pieces.ts';
import type { TrainingRun } from './run.ts';
import type { WrittenGraph } from './stages.ts';

const GOLDEN_ROWS = 8;
/** Both tiers work in float32 and add in another order. */
const TOLERANCE = 1e-4;

/** What the file says of its origin. Equal sets and seeds give equal bytes, so it names no run and no moment. */
export function metadataOf(graph: WrittenGraph, digest: string, seed: number): Record<string, string> {
  return { columns: graph.columns.join(','), dataset: digest, seed: String(seed) };
}

/** Golden rows: some of the test, with the model's own answers. */
function goldenOf(graph: WrittenGraph, { set: { columns }, answers }: Shown): Bundle['golden'] {
  const count = Math.min(GOLDEN_ROWS, answers.length);
  const rows = Array.from({ length: count }, (_, at) => Math.floor((at * answers.length) / count));
  // JSON has no NaN.
  const number = (value = 0) => (Number.isNaN(value) ? 'NaN' : value);
  return {
    inputs: { [graph.input]: rows.map((row) => columns.map((column) => number(column[row]))) },
    outputs: { [graph.output]: rows.map((row) => [number(answers[row])]) },
    tolerance: TOLERANCE,
  };
}

export interface BundleParts {
  readonly definition: ModelDefinition;
  readonly graph: WrittenGraph;
  readonly run: TrainingRun;
  readonly model: Uint8Array<ArrayBuffer>;
  readonly shown: Shown;
  readonly evaluation: Evaluation;
  readonly trainingRows: number;
  readonly codeVersion: string;
}

export async function bundleOf(parts: BundleParts): Promise<Bundle> {
  const { definition, graph, run, model, shown, evaluation, trainingRows, codeVersion } = parts;
  const { input, output, columns } = graph;
  const { candidates } = shown;
  const artifacts = {
    model: await artifactOf(model),
    ...(candidates === undefined ? {} : { candidates: await artifactOf(candidates) }),
    ...(evaluation.ranking === undefined ? {} : { segments: answerersOf(evaluation) }),
  };
  const manifest = Manifest.parse({
    ...{ name: definition.name, version: await versionOf(artifacts), ...artifacts },
    inputs: [{ name: input, datatype: 'FP32', shape: [-1, columns.length], columns }],
    outputs: [{ name: output, datatype: 'FP32', shape: [-1, 1] }],
    metrics: { ...evaluation.model, verdict: evaluation.verdict, gains: evaluation.gains },
    baseline: { ...evaluation.baseline.figures },
    trainedFrom: {
      ...{ run: run.id, reason: run.reason, dataset: run.dataset?.id, digest: run.dataset?.digest },
      ...{ rows: trainingRows, seed: run.seed, asOf: new Date(run.asOf).toISOString(), codeVersion },
      ...{ recipe: definition.training, evaluation },
    },
  });
  const files = candidates === undefined ? { model } : { model, candidates };
  return { manifest, golden: goldenOf(graph, shown), ...files, card: cardOf(parts) };
}

async function artifactOf(bytes: Uint8Array<ArrayBuffer>): Promise<Manifest['model']> {
  return { sha256: await sha256Hex(bytes), bytes: bytes.length };
}

function cardOf({ definition, run, evaluation, trainingRows }: BundleParts): string {
  const { model, baseline, champion, gains, rows, entities, from, to, loss, level, ranking } = evaluation;
  const names = Object.keys(model);
  const row = (who: string, figures: Evaluation['model'] | null) =>
    `| ${who} | ${names.map((name) => textOf(figures?.[name] ?? null)).join(' | ')} |`;
  const gain = (who: string, of: Evaluation['gains']['baseline']) =>
    of === null ? [] : [`- Gain over ${who}: ${textOf(of)}.`];
  return [
    `# ${definition.name}`,
    '',
    definition.description,
    '',
    `Trained here by run ${run.id} (${run.reason}) from ${trainingRows} rows of the dataset ${run.dataset?.id}, seed ${run.seed}.`,
    '',
    '## Evaluation',
    '',
    `${rows} later ${ranking === undefined ? 'rows' : 'queries'} of ${entities} entities, ${from} to ${to}, that it has not learned from. In brackets: ${level * 100} % intervals of the bootstrap over entities.`,
    '',
    `| | ${names.join(' | ')} |`,
    `| --- |${names.map(() => ' --- |').join('')}`,
    row('this version', model),
    ...(ranking === undefined
      ? [row(BASELINES[baseline.name], baseline.figures)]
      : [row(BASELINES.popularity, ranking.lists.popularity), row(BASELINES.repeats, ranking.lists.repeats)]),
    ...(champion === null ? [] : [row(`champion ${champion.version}`, champion.figures)]),
    '',
    ...(ranking === undefined ? [] : [...rankingLines(ranking), ...segmentLines(ranking, names)]),
    `Gains are differences of the mean ${LOSSES[loss]}; above 0 this version is better.`,
    '',
    ...gain(BASELINES[baseline.name], gains.baseline),
    ...gain('the champion', gains.champion),
    ...(champion?.why == null ? [] : [`- The champion was not compared: ${champion.why}`]),
    `- Verdict: ${evaluation.verdict === 'better' ? 'better' : 'not better'}.`,
    '',
  ].join('\n');
}

const BASELINES = {
  mean_label: 'the mean label',
  popularity: 'popularity',
  repeats: 'what each took most often, then popularity',
} as const;
const LOSSES = { squared_error: 'squared error', log_loss: 'log loss', ndcg_loss: '1 − NDCG@10' } as const;

function rankingLines({
  coverage,
  candidateRecall,
  withoutRows,
}: NonNullable<Evaluation['ranking']>): string[] {
  const share = (value: number) => `${(100 * value).toFixed(1)} %`;
  return [
    `Of what was taken, ${share(candidateRecall)} were among the candidates. Its lists have ${share(coverage.model)} of all items, those of popularity ${share(coverage.popularity)}. Popularity answered ${withoutRows} queries in its place.`,
    '',
  ];
}

/** The figures of new and of returning entities, each beside popularity. */
function segmentLines({ segments }: NonNullable<Evaluation['ranking']>, names: readonly string[]): string[] {
  if (segments === undefined) return [];
  const rows = (['new', 'returning'] as const).flatMap((segment) => {
    const found = segments[segment];
    if (found === null) return [];
    const row = (who: string, figures: Evaluation['model']) =>
      `| ${segment}, ${who} | ${names.map((name) => textOf(figures[name] ?? null)).join(' | ')} |`;
    return [
      row(`the model (${found.queries} queries)`, found.model),
      row('popularity', found.popularity),
      row('repeats', found.repeats),
    ];
  });
  return [
    'By whether the entity had taken anything before. The lists of the model and of popularity are judged, and one of them serves: the one that the interval of the gain says is better, else popularity for new entities and the model for returning ones.',
    '',
    ...(['new', 'returning'] as const).flatMap((segment) => {
      const found = segments[segment];
      if (found?.answeredBy === undefined) return [];
      const by = found.answeredBy === 'model' ? 'the model' : 'popularity';
      return [
        `- ${capital(segment)} entities are answered by ${by}. Gain over popularity: ${textOf(found.gain)}.`,
      ];
    }),
    '',
    `| | ${names.join(' | ')} |`,
    `| --- |${names.map(() => ' --- |').join('')}`,
    ...rows,
    '',
  ];
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

function textOf(found: Evaluation['gains']['baseline']): string {
  if (found === null) return '–';
  const text = (value: number) => String(Number(value.toPrecision(4)));
  return `${text(found.value)} [${text(found.low)}, ${text(found.high)}]`;
}

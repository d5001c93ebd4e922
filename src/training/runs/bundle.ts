/** The bundle of a trained model, as the registry takes it from everybody. */
import type { ModelDefinition } from '../../define/model.ts';
import { type Bundle, Manifest, versionOf } from '../../inference/bundle.ts';
import { sha256Hex } from '../../platform/digest.ts';
import type { Evaluation } from './evaluation.ts';
import type { Learnable } from './learnable.ts';
import type { TrainingRun } from './run.ts';
import type { RowSet } from './set.ts';

const GOLDEN_ROWS = 8;
/** Both tiers work in float32 and add in another order. */
const TOLERANCE = 1e-4;

/** What the file says of its origin. Equal sets and seeds give equal bytes, so it names no run and no moment. */
export function metadataOf(learnable: Learnable, digest: string, seed: number): Record<string, string> {
  return {
    columns: learnable.columns.map(({ name }) => name).join(','),
    dataset: digest,
    seed: String(seed),
  };
}

/** Golden rows: some of the test, with the model's own answers. */
export function goldenOf(learnable: Learnable, { columns }: RowSet, answers: Float32Array): Bundle['golden'] {
  const count = Math.min(GOLDEN_ROWS, answers.length);
  const rows = Array.from({ length: count }, (_, at) => Math.floor((at * answers.length) / count));
  // JSON has no NaN.
  const number = (value = 0) => (Number.isNaN(value) ? 'NaN' : value);
  return {
    inputs: { [learnable.input]: rows.map((row) => columns.map((column) => number(column[row]))) },
    outputs: { [learnable.output]: rows.map((row) => [number(answers[row])]) },
    tolerance: TOLERANCE,
  };
}

export interface BundleParts {
  readonly definition: ModelDefinition;
  readonly learnable: Learnable;
  readonly run: TrainingRun;
  readonly model: Uint8Array<ArrayBuffer>;
  readonly golden: Bundle['golden'];
  readonly evaluation: Evaluation;
  readonly trainingRows: number;
  readonly codeVersion: string;
}

export async function bundleOf(parts: BundleParts): Promise<Bundle> {
  const { definition, learnable, run, model, golden, evaluation, trainingRows, codeVersion } = parts;
  const { input, output, columns } = learnable;
  const artifact = { sha256: await sha256Hex(model), bytes: model.length };
  const manifest = Manifest.parse({
    ...{ name: definition.name, version: await versionOf({ model: artifact }), model: artifact },
    inputs: [
      {
        ...{ name: input, datatype: 'FP32', shape: [-1, columns.length] },
        columns: columns.map(({ name }) => name),
      },
    ],
    outputs: [{ name: output, datatype: 'FP32', shape: [-1, 1] }],
    metrics: { ...evaluation.model, verdict: evaluation.verdict, gains: evaluation.gains },
    baseline: { ...evaluation.baseline.figures },
    trainedFrom: {
      ...{ run: run.id, reason: run.reason, dataset: run.dataset?.id, digest: run.dataset?.digest },
      ...{ rows: trainingRows, seed: run.seed, asOf: new Date(run.asOf).toISOString(), codeVersion },
      ...{ recipe: definition.training, evaluation },
    },
  });
  return { manifest, golden, model, card: cardOf(parts) };
}

function cardOf({ definition, run, evaluation, trainingRows }: BundleParts): string {
  const { model, baseline, champion, gains, rows, entities, from, to, loss, level } = evaluation;
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
    `${rows} later rows of ${entities} entities, ${from} to ${to}, that it has not learned from. In brackets: ${level * 100} % intervals of the bootstrap over entities.`,
    '',
    `| | ${names.join(' | ')} |`,
    `| --- |${names.map(() => ' --- |').join('')}`,
    row('this version', model),
    row('the mean label', baseline.figures),
    ...(champion === null ? [] : [row(`champion ${champion.version}`, champion.figures)]),
    '',
    `Gains are differences of the mean ${loss.replace('_', ' ')}; above 0 this version is better.`,
    '',
    ...gain('the mean label', gains.baseline),
    ...gain('the champion', gains.champion),
    ...(champion?.why == null ? [] : [`- The champion was not compared: ${champion.why}`]),
    `- Verdict: ${evaluation.verdict === 'better' ? 'better' : 'not better'}.`,
    '',
  ].join('\n');
}

function textOf(found: Evaluation['gains']['baseline']): string {
  if (found === null) return '–';
  const text = (value: number) => String(Number(value.toPrecision(4)));
  return `${text(found.value)} [${text(found.low)}, ${text(found.high)}]`;
}

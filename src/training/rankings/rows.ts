/** The rows that a ranking learns from: of each query the candidates that were taken, and a sample of the others. */
import { hashedFraction, hashText } from '../../platform/random.ts';
import { TrainingRefused } from '../refusal.ts';
import { meanLabel } from '../runs/evaluation.ts';
import { RUN_LIMITS } from '../runs/limits.ts';
import type { Lesson, Pieces } from '../runs/pieces.ts';
import type { RowSet } from '../runs/set.ts';
import { type PosedQuery, posedQueries, type RankingWork } from './work.ts';

/** The share of the limit that sampled queries are to fill: how many rows they have is known only afterwards. */
const FILLED = 0.9;

/** What decides which rows a query has. */
export interface SamplingPlan {
  readonly seed: number;
  /** The rows of candidates that were not taken, on average. */
  readonly negatives: number;
  /** The share of the queries that are learned from. */
  readonly share: number;
}

/**
 * The candidates of a query that are learned from, and what each stands for. Which they are depends on the seed, the query
 * and the item alone. A query without candidates, or one that is not in the sample, has none.
 */
export function sampledItems(
  { key, at, taken, features, candidates }: Omit<PosedQuery, 'moment'>,
  { seed, negatives, share }: SamplingPlan,
): { readonly items: readonly string[]; readonly labels: readonly number[]; readonly weight: number } {
  const basis = hashText(key, hashText(`${seed}:${at}`));
  const none = { items: [], labels: [], weight: 1 };
  if (hashedFraction(basis, '') >= share) return none;
  const offered = candidates.assemble(features, undefined, at)?.items ?? [];
  if (offered.length === 0) return none;
  const kept = Math.min(1, negatives / offered.length);
  const items = offered.filter((item) => taken.has(item) || hashedFraction(basis, item) < kept);
  return { items, labels: items.map((item) => (taken.has(item) ? 1 : 0)), weight: 1 / kept };
}

/** Rows that come query by query, as columns. */
export class GrowingRows {
  readonly #width: number;
  readonly #rowsMax: number;
  readonly #blocks: Float32Array[] = [];
  readonly #labels: number[] = [];
  readonly #weights: number[] = [];

  constructor(width: number, rowsMax: number) {
    this.#width = width;
    this.#rowsMax = rowsMax;
  }

  get size(): number {
    return this.#labels.length;
  }

  /** @throws TrainingRefused `too_many_rows` */
  add(query: PosedQuery, plan: SamplingPlan): void {
    const { items, labels, weight } = sampledItems(query, plan);
    const assembled = items.length === 0 ? null : query.candidates.assemble(query.features, items, query.at);
    if (assembled === null) return;
    if (assembled.rows.length !== items.length * this.#width)
      throw new TrainingRefused(
        'invalid_columns',
        `\`assemble\` made ${assembled.rows.length} values for ${items.length} rows of ${this.#width} columns.`,
      );
    if (this.size + items.length > this.#rowsMax)
      throw new TrainingRefused('too_many_rows', `A set has more than ${this.#rowsMax} rows.`);
    this.#blocks.push(assembled.rows);
    for (const label of labels) {
      this.#labels.push(label);
      this.#weights.push(label === 1 ? 1 : weight);
    }
  }

  finish(): RowSet {
    const columns = Array.from({ length: this.#width }, () => new Float32Array(this.size));
    let row = 0;
    for (const block of this.#blocks)
      for (let start = 0; start < block.length; start += this.#width, row += 1)
        for (const [at, column] of columns.entries()) column[row] = block[start + at] ?? 0;
    this.#blocks.length = 0;
    const labels = Float32Array.from(this.#labels);
    return { columns, labels, weights: Float32Array.from(this.#weights), units: new Uint32Array(0) };
  }
}

/** Rows of training, then of validation; queries of one moment stay in the order of the files. */
export async function* lessonPieces(work: RankingWork): Pieces<Lesson> {
  const { definition, recipe, manifest, run } = work;
  const { columns: names } = definition;
  const rowsMax = Math.min(RUN_LIMITS.rowsMax, Math.floor(RUN_LIMITS.cellsMax / names.length));
  // The dataset has about as many rows of a query: all that were taken, and as many sampled ones.
  const rows = manifest.rows.train + manifest.rows.validation;
  const share = Math.min(1, (FILLED * rowsMax) / Math.max(1, rows));
  const plan = { seed: run.seed, negatives: recipe.negatives, share };
  const grown = { train: byMoment(work, rowsMax), validation: byMoment(work, rowsMax) };
  let size = 0;
  yield* posedQueries(work, ['train', 'validation'], (query, split) => {
    if (split === 'test') return;
    const into = grown[split][query.moment];
    const before = into?.size ?? 0;
    into?.add(query, plan);
    size += (into?.size ?? 0) - before;
    if (size > rowsMax) throw new TrainingRefused('too_many_rows', `A set has more than ${rowsMax} rows.`);
  });
  const train = joined(grown.train, names.length);
  const validation = joined(grown.validation, names.length);
  const set = joinedSets([train, validation], names.length);
  const trainingRows = train.labels.length;
  const weights = set.weights ?? new Float32Array(0);
  return {
    columns: { names, columns: set.columns, labels: set.labels, weights, trainingRows },
    meanLabel: meanLabel(set, trainingRows),
  };
}

/** Files have their rows by moment, and there are several: rows of one moment belong together. */
function byMoment({ moments, definition }: RankingWork, rowsMax: number): readonly GrowingRows[] {
  return moments.map(() => new GrowingRows(definition.columns.length, rowsMax));
}

function joined(grown: readonly GrowingRows[], width: number): RowSet {
  return joinedSets(
    grown.map((rows) => rows.finish()),
    width,
  );
}

function joinedSets(sets: readonly RowSet[], width: number): RowSet {
  const all = (arrays: readonly Float32Array[]) => {
    const whole = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
    let start = 0;
    for (const array of arrays) {
      whole.set(array, start);
      start += array.length;
    }
    return whole;
  };
  const none = new Float32Array(0);
  return {
    columns: Array.from({ length: width }, (_, at) => all(sets.map(({ columns }) => columns[at] ?? none))),
    labels: all(sets.map(({ labels }) => labels)),
    weights: all(sets.map(({ weights }) => weights ?? none)),
    units: new Uint32Array(0),
  };
}

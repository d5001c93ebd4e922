/** What a trainer reads: a training set by columns, as a column store such as Parquet gives it. */
import { TrainingRefused } from './refusal.ts';

/**
 * A training set. Rows are in the order of time: the first `trainingRows` are learned from, and the others, which are
 * later, judge when to stop. The trainer keeps what it needs of the arrays and never writes to them.
 */
export interface TrainingColumns {
  /** The columns of the model's input, in the order of its tensor. */
  readonly names: readonly string[];
  /** One array for each name, each with an element for each row. NaN is a missing value. */
  readonly columns: readonly Float32Array[];
  /** A number for a regression; 0, 1 or a share in between for a probability. */
  readonly labels: Float32Array;
  /** What a row counts in the loss, above 0 and at most a million; 1 for all without it. */
  readonly weights?: Float32Array;
  readonly trainingRows: number;
}

/**
 * The most rows, columns and cells (rows × columns) of a training set. A cell takes 4 bytes in the columns and 1 byte
 * in the bins of trees, so the largest set takes 50 MB of the 128 MB of an isolate, beside about 40 bytes a row. This is
 * an estimate.
 */
export const ROWS_MAX = 1_000_000;
export const COLUMNS_MAX = 256;
export const CELLS_MAX = 10_000_000;
/** Weights of a million rows add up to a number that float32 holds. */
const WEIGHT_MAX = 1e6;

/** What is learned: a number, or the probability of 1. */
export type TrainingTask = 'regression' | 'binary';

/**
 * @param rowsMin the fewest rows to learn from.
 * @throws TrainingRefused
 */
export function assertTrainable(set: TrainingColumns, task: TrainingTask, rowsMin: number): void {
  const { names, columns, labels, weights, trainingRows } = set;
  const rows = labels.length;
  assertSize(rows, columns.length);
  if (names.length !== columns.length || new Set(names).size !== names.length)
    throw new TrainingRefused(
      'invalid_columns',
      `There are ${columns.length} columns and ${new Set(names).size} names.`,
    );
  for (const [at, column] of columns.entries()) {
    if (column.length !== rows)
      throw new TrainingRefused(
        'invalid_columns',
        `The column "${names[at]}" has ${column.length} rows, not ${rows}.`,
      );
    if (column.some((value) => value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY))
      throw new TrainingRefused('invalid_columns', `The column "${names[at]}" has an infinite value.`);
  }
  if (!(Number.isInteger(trainingRows) && trainingRows <= rows) || trainingRows < rowsMin)
    throw new TrainingRefused(
      'too_few_rows',
      `There are ${trainingRows} of ${rows} rows to learn from; at least ${rowsMin} are needed.`,
    );
  assertLabels(labels.subarray(0, trainingRows), labels, task);
  if (
    weights !== undefined &&
    (weights.length !== rows || !weights.every((of) => of > 0 && of <= WEIGHT_MAX))
  )
    throw new TrainingRefused(
      'invalid_columns',
      `There is not a weight of more than 0 and at most ${WEIGHT_MAX} for each row.`,
    );
}

/** @throws TrainingRefused */
function assertSize(rows: number, columns: number): void {
  if (rows > ROWS_MAX)
    throw new TrainingRefused(
      'too_many_rows',
      `There are ${rows} rows; at most ${ROWS_MAX} can be trained on.`,
    );
  if (columns === 0 || columns > COLUMNS_MAX)
    throw new TrainingRefused(
      columns === 0 ? 'invalid_columns' : 'too_many_columns',
      `There are ${columns} columns; a model can have 1 to ${COLUMNS_MAX}.`,
    );
  if (rows * columns > CELLS_MAX)
    throw new TrainingRefused(
      'too_many_cells',
      `${rows} rows of ${columns} columns are ${rows * columns} values; at most ${CELLS_MAX} can be trained on. Sample the rows, or leave columns out.`,
    );
}

/** @throws TrainingRefused */
function assertLabels(learned: Float32Array, all: Float32Array, task: TrainingTask): void {
  const isFit =
    task === 'regression'
      ? Number.isFinite
      : (label: number) => Number.isFinite(label) && label >= 0 && label <= 1;
  const at = all.findIndex((label) => !isFit(label));
  if (at >= 0)
    throw new TrainingRefused(
      'invalid_labels',
      `The label of row ${at} is ${all[at]}, which is ${task === 'regression' ? 'no finite number' : 'not between 0 and 1'}.`,
    );
  const [first] = learned;
  if (learned.every((label) => label === first))
    throw new TrainingRefused(
      'invalid_labels',
      `All rows have the label ${first}, so there is nothing to learn.`,
    );
}

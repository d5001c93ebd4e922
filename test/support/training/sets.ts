import { seededRandom } from '../../../src/platform/random.ts';
import type { TrainingColumns } from '../../../src/training/columns.ts';

export interface SetShape {
  readonly rows: number;
  readonly columns: number;
  readonly task: 'regression' | 'binary';
  readonly seed?: number;
  /** The share of values that are missing; 0 by default. */
  readonly missing?: number;
  /** The share of rows that are learned from; 0.75 by default. */
  readonly learned?: number;
}

/**
 * Rows whose label depends on the first column, a product of the next two, a wave of the fourth, whether the fifth is
 * missing, and noise. It has no steps: how well a tree meets one is luck of the bins. The other columns are noise, every third of them of a few whole numbers.
 */
export function madeUpSet({
  rows,
  columns,
  task,
  seed = 1,
  missing = 0,
  learned = 0.75,
}: SetShape): TrainingColumns {
  const random = seededRandom(seed);
  const made = Array.from({ length: columns }, () => new Float32Array(rows));
  const labels = new Float32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    for (const [at, column] of made.entries()) {
      const value = 2 * random() - 1;
      column[row] = random() < missing ? Number.NaN : at % 3 === 2 ? Math.round(3 * value) : value;
    }
    const at = (column: number) => made[column]?.[row] ?? 0;
    const or0 = (value: number) => (Number.isNaN(value) ? 0 : value);
    const signal =
      Math.tanh(3 * or0(at(0))) +
      2 * or0(at(1)) * or0(at(2)) * 0.5 +
      Math.sin(4 * or0(at(3))) +
      (Number.isNaN(at(4)) ? 1 : 0);
    labels[row] =
      task === 'regression'
        ? signal + 0.3 * (random() + random() + random() - 1.5)
        : random() < 1 / (1 + Math.exp(-2 * signal))
          ? 1
          : 0;
  }
  return {
    names: made.map((_, at) => `c${at}`),
    columns: made,
    labels,
    trainingRows: Math.floor(rows * learned),
  };
}

/** The rows of a set from one on, as the tensor of a model's input. */
export function rowsOf({ columns }: TrainingColumns, from: number, to: number) {
  const data = new Float32Array((to - from) * columns.length);
  for (let row = from; row < to; row += 1)
    for (const [at, column] of columns.entries()) data[(row - from) * columns.length + at] = column[row] ?? 0;
  return { datatype: 'FP32', shape: [to - from, columns.length], data } as const;
}

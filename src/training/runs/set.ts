/** The way from the files of a dataset to the columns of a trainer. */
import { parquetRead } from 'hyparquet';
import type { TrainingColumns } from '../columns.ts';
import type { DatasetFile, DatasetManifest } from '../datasets/manifest.ts';
import type { Split } from '../datasets/spec.ts';
import { wholeFile } from '../datasets/whole-file.ts';
import { TrainingRefused } from '../refusal.ts';
import type { Learnable } from './learnable.ts';
import { RUN_LIMITS } from './limits.ts';

/** Rows of a dataset by columns, in the order of time within each split. */
export interface RowSet {
  readonly columns: readonly Float32Array[];
  readonly labels: Float32Array;
  /** What each row stands for; undefined if each stands for itself. */
  readonly weights: Float32Array | undefined;
  /** The number of each row's entity, from 0, in the order in which they occur; empty unless it was asked for. */
  readonly units: Uint32Array;
}

const TIME = 'at';
const LABEL = 'label';
const WEIGHT = 'weight';

/**
 * Refuses a dataset that does not fit into the memory of an isolate, before a file of it is read.
 *
 * @throws TrainingRefused `too_many_rows`, `too_many_cells`, `training_too_large`
 */
export function assertRunnable({ rows, files }: DatasetManifest, columns: number): void {
  const { rowsMax, cellsMax, fileBytesMax } = RUN_LIMITS;
  const learned = rows.train + rows.validation;
  const most = Math.max(learned, rows.test);
  if (most > rowsMax)
    throw new TrainingRefused('too_many_rows', `A set has ${most} rows; a run takes ${rowsMax}.`);
  if (most * columns > cellsMax)
    throw new TrainingRefused(
      'too_many_cells',
      `${most} rows of ${columns} columns are ${most * columns} values; a run takes ${cellsMax}.`,
    );
  const large = files.find(({ bytes }) => bytes > fileBytesMax);
  if (large !== undefined)
    throw new TrainingRefused(
      'training_too_large',
      `The file ${large.name} has ${large.bytes} bytes; a run reads ${fileBytesMax} at once.`,
    );
}

/**
 * Reads some splits of a dataset, file by file. It holds the columns of all rows and one file, of which one row group is
 * decoded at a time.
 */
export class SetReader {
  readonly #learnable: Learnable;
  readonly #files: readonly DatasetFile[];
  readonly #entity: string | undefined;
  readonly #columns: readonly Float32Array[];
  readonly #labels: Float32Array;
  readonly #weights: Float32Array;
  readonly #times: Float64Array;
  readonly #units: Uint32Array;
  readonly #keys = new Map<string, number>();
  #read = 0;
  #rows = 0;

  /** @param entity the column of the entities, if their rows have to be told apart. */
  constructor(learnable: Learnable, manifest: DatasetManifest, splits: readonly Split[], entity?: string) {
    this.#learnable = learnable;
    this.#entity = entity;
    // Split by split, so that what is learned from comes first.
    this.#files = splits.flatMap((split) => manifest.files.filter((file) => file.split === split));
    const rows = this.#files.reduce((sum, file) => sum + file.rows, 0);
    this.#columns = learnable.columns.map(({ constant }) => new Float32Array(rows).fill(constant ?? 0));
    this.#labels = new Float32Array(rows);
    this.#weights = new Float32Array(rows);
    this.#times = new Float64Array(rows);
    this.#units = new Uint32Array(entity === undefined ? 0 : rows);
  }

  /** The file to read next; undefined once all are read. */
  get next(): DatasetFile | undefined {
    return this.#files[this.#read];
  }

  /** How many files were read, and how many there are. */
  get progress(): { readonly done: number; readonly of: number } {
    return { done: this.#read, of: this.#files.length };
  }

  /**
   * Adds the next file.
   *
   * @throws TrainingRefused `invalid_columns` if it has other rows than the manifest says, `invalid_labels`.
   */
  async add(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const file = this.next;
    if (file === undefined) throw new Error('All files were read.');
    const { buffer, metadata } = wholeFile(file, bytes);
    const asked = [
      ...[TIME, LABEL, WEIGHT, ...(this.#entity === undefined ? [] : [this.#entity])],
      ...this.#learnable.columns.flatMap(({ name, constant }) => (constant === undefined ? [name] : [])),
    ];
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      await parquetRead({
        ...{ file: buffer, metadata, columns: asked, rowStart, rowEnd },
        onChunk: ({ columnName, columnData, rowStart: first }) =>
          this.#take(columnName, columnData, this.#rows + first),
      });
      rowStart = rowEnd;
    }
    this.#rows += file.rows;
    this.#read += 1;
  }

  #take(name: string, values: ArrayLike<unknown>, start: number): void {
    const into = (array: Float32Array | Float64Array | Uint32Array, one: (value: unknown) => number) => {
      for (let at = 0; at < values.length; at += 1) array[start + at] = one(values[at]);
    };
    if (name === LABEL) into(this.#labels, this.#learnable.labelOf);
    if (name === WEIGHT) into(this.#weights, Number);
    if (name === TIME) into(this.#times, Number);
    if (name === this.#entity) into(this.#units, (key) => this.#unitOf(String(key)));
    for (const [at, column] of this.#learnable.columns.entries())
      if (column.name === name && column.constant === undefined)
        into(this.#columns[at] ?? new Float32Array(0), (value) =>
          typeof value === 'number' ? value : column.missing,
        );
  }

  #unitOf(key: string): number {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    this.#keys.set(key, this.#keys.size);
    return this.#keys.size - 1;
  }

  /** All rows, once every file was added. @param first how many rows the first split has. */
  finish(first: number): RowSet {
    if (this.next !== undefined) throw new Error(`The file ${this.next.name} was not read.`);
    const order = orderOf(this.#times, first);
    const sorted = (array: Float32Array) => Float32Array.from(order, (row) => array[row] ?? 0);
    const weights = sorted(this.#weights);
    return {
      columns: this.#columns.map(sorted),
      labels: sorted(this.#labels),
      weights: weights.every((of) => of === 1) ? undefined : weights,
      units: this.#units.map((_, at) => this.#units[order[at] ?? 0] ?? 0),
    };
  }
}

/** The rows by time within `[0, first)` and within the rest; rows of one moment stay in the order of the files. */
function orderOf(times: Float64Array, first: number): Uint32Array {
  const order = Uint32Array.from(times, (_, row) => row);
  const byTime = (a: number, b: number) => (times[a] ?? 0) - (times[b] ?? 0) || a - b;
  order.subarray(0, first).sort(byTime);
  order.subarray(first).sort(byTime);
  return order;
}

/** The rows of training and of validation as a trainer takes them. */
export function trainingColumnsOf(
  { columns, labels, weights }: RowSet,
  learnable: Learnable,
  trainingRows: number,
): TrainingColumns {
  return {
    ...{ names: learnable.columns.map(({ name }) => name), columns, labels, trainingRows },
    ...(weights === undefined ? {} : { weights }),
  };
}

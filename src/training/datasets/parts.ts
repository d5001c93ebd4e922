import type { DatasetDefinition } from '../../define/dataset.ts';
import { Failure } from '../../platform/failure.ts';
import type { DatasetLimits } from './limits.ts';

/** A key with the label events that count for its rows. */
export interface KeyTally {
  readonly key: string;
  readonly hash: number;
  readonly touches: number;
}

/** Keys whose hashes are at least `from` and at most `to`. */
export interface PartRange {
  readonly from: number;
  readonly to: number;
}

/** The most rows that a key can have. */
export function rowsMax(
  { rows, horizonDays, everyDays, negatives }: DatasetDefinition,
  moments: number,
  touches: number,
): number {
  if (rows === 'events') return touches;
  if (rows === 'periods') return moments;
  const overlapping = Math.ceil(horizonDays / everyDays);
  return touches * overlapping + Math.min(moments, touches * overlapping) * negatives;
}

/** Divides keys into parts while they come in the order of their hashes. It holds the parts, and no keys. */
export class PartPlanner {
  readonly #parts: { from: number; to: number }[] = [];
  readonly #limits: DatasetLimits;
  readonly #partRows: number;
  #rows = 0;
  #touches = 0;

  /** @param columns how many columns a row has. */
  constructor(limits: DatasetLimits, columns: number) {
    this.#limits = limits;
    this.#partRows = Math.max(1, Math.min(limits.partRowsMax, Math.floor(limits.partValuesMax / columns)));
  }

  /**
   * @param group all keys of one hash; a part has all of them or none.
   * @throws Failure `dataset_too_large` for keys that no part can hold.
   */
  add(hash: number, group: { readonly rows: number; readonly touches: number }): void {
    const { partTouchesMax, partsMax } = this.#limits;
    if (group.rows > this.#partRows || group.touches > partTouchesMax)
      throw tooLarge(
        `One entity has up to ${group.rows} rows and ${group.touches} label events; a part takes ${this.#partRows} and ${partTouchesMax}.`,
      );
    const last = this.#parts.at(-1);
    const fits =
      last !== undefined &&
      this.#rows + group.rows <= this.#partRows &&
      this.#touches + group.touches <= partTouchesMax;
    if (fits) {
      last.to = hash;
      this.#rows += group.rows;
      this.#touches += group.touches;
      return;
    }
    if (this.#parts.length >= partsMax) throw tooLarge(`It has more than ${partsMax} parts.`);
    this.#parts.push({ from: hash, to: hash });
    this.#rows = group.rows;
    this.#touches = group.touches;
  }

  get parts(): readonly PartRange[] {
    return this.#parts;
  }
}

/** The two halves of a part whose features do not fit into memory. @throws Failure `dataset_too_large` for one hash. */
export function halved({ from, to }: PartRange, cellsMax: number): readonly [PartRange, PartRange] {
  if (from >= to)
    throw tooLarge(`The features of one entity have more than ${cellsMax} cells; a part takes no more.`);
  const middle = Math.floor((from + to) / 2);
  return [
    { from, to: middle },
    { from: middle + 1, to },
  ];
}

export function tooLarge(detail: string): Failure {
  return new Failure('dataset_too_large', `${detail} Ask for a shorter time, or change the declaration.`);
}

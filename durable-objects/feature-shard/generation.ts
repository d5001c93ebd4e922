import { addDigests, EMPTY_DIGEST, type ShardDigest } from '../../src/features/digest.ts';
import { addNumber, bitmapOf, blockOf, storedBlock } from '../../src/features/folded-numbers.ts';

/**
 * The numbers of the events that are folded into a generation, and its totals. The block with the greatest numbers is in
 * the row with the totals, and the others have rows of their own: so a fold of new events reads and writes one row for
 * both.
 */
export class OpenGeneration {
  readonly #sql: SqlStorage;
  readonly #generation: number;
  /** The newest block; null for a generation without one. */
  #block: number | null;
  #bitmap: Uint8Array;
  #isChanged = false;
  #change = EMPTY_DIGEST;
  /** Written with the numbers; undefined to leave it as it is. */
  #openFolds: string | undefined;

  constructor(sql: SqlStorage, generation: number) {
    this.#sql = sql;
    this.#generation = generation;
    const { block, numbers } = sql
      .exec<{ block: number | null; numbers: ArrayBuffer | null }>(
        'select block, numbers from generations where generation = ?',
        generation,
      )
      .one();
    this.#block = block;
    this.#bitmap = bitmapOf(numbers === null ? undefined : new Uint8Array(numbers));
  }

  /** Records the numbers of these events as folded, and returns the events whose number is new. `save` has to follow. */
  takeFresh<Event extends { readonly seq: number }>(events: readonly Event[]): Event[] {
    const blocks = [...Map.groupBy(events, ({ seq }) => blockOf(seq))].sort(([a], [b]) => a - b);
    return blocks.flatMap(([block, ofBlock]) => {
      const stored = block === this.#block ? undefined : this.#stored(block);
      const bitmap = block === this.#block ? this.#bitmap : bitmapOf(stored);
      const fresh = ofBlock.filter(({ seq }) => addNumber(bitmap, seq));
      if (fresh.length === 0) return fresh;
      if (this.#block !== null && block < this.#block) {
        this.#write(block, bitmap);
        return fresh;
      }
      if (this.#block !== null && block > this.#block) this.#write(this.#block, this.#bitmap);
      // A generation of the release before has rows for all of its blocks.
      if (stored !== undefined)
        this.#sql.exec('delete from folded where generation = ? and block = ?', this.#generation, block);
      this.#block = block;
      this.#bitmap = bitmap;
      this.#isChanged = true;
      return fresh;
    });
  }

  /** Adds to the totals. `save` has to follow. */
  add(change: ShardDigest): void {
    this.#change = addDigests([this.#change, change]);
  }

  /** Keeps the text of the shard's open folds together with the new numbers. `save` has to follow. */
  keepOpenFolds(text: string): void {
    this.#openFolds = text;
  }

  /** Writes the changed totals and numbers to the generation's row. */
  save(): void {
    const { cells, events, sumA, sumB } = this.#change;
    const isCounted = [cells, events, sumA, sumB].some((by) => by !== 0);
    if (this.#isChanged || this.#openFolds !== undefined)
      this.#sql.exec(
        `update generations set ${ADD_TOTALS}, block = ?, numbers = ?, open_folds = coalesce(?, open_folds)
         where generation = ?`,
        ...[cells, events, sumA, sumB, this.#block, storedBlock(this.#bitmap)],
        this.#openFolds ?? null,
        this.#generation,
      );
    else if (isCounted) changeTotals(this.#sql, this.#generation, this.#change);
    this.#isChanged = false;
    this.#openFolds = undefined;
    this.#change = EMPTY_DIGEST;
  }

  #stored(block: number): Uint8Array | undefined {
    const [row] = this.#sql
      .exec<{ numbers: ArrayBuffer }>(
        'select numbers from folded where generation = ? and block = ?',
        this.#generation,
        block,
      )
      .toArray();
    return row === undefined ? undefined : new Uint8Array(row.numbers);
  }

  #write(block: number, bitmap: Uint8Array): void {
    this.#sql.exec(
      `insert into folded (generation, block, numbers) values (?, ?, ?)
       on conflict (generation, block) do update set numbers = excluded.numbers`,
      this.#generation,
      block,
      storedBlock(bitmap),
    );
  }
}

const ADD_TOTALS = `cells = cells + ?, events = events + ?,
  sum_a = (sum_a + ?) & 4294967295, sum_b = (sum_b + ?) & 4294967295`;

/** Adds to the totals of a generation. */
export function changeTotals(sql: SqlStorage, generation: number, by: ShardDigest): void {
  sql.exec(
    `update generations set ${ADD_TOTALS} where generation = ?`,
    ...[by.cells, by.events, by.sumA, by.sumB, generation],
  );
}

/** The digest of a generation's cells, and the number of the events folded into it. */
export function totalsOf(sql: SqlStorage, generation: number): ShardDigest {
  const row = sql
    .exec<{ cells: number; events: number; sum_a: number; sum_b: number }>(
      'select cells, events, sum_a, sum_b from generations where generation = ?',
      generation,
    )
    .one();
  return { cells: row.cells, events: row.events, sumA: row.sum_a, sumB: row.sum_b };
}

/** The text of the shard's open folds, which is in the row of the served generation; null before its first fold. */
export function openFoldsOf(sql: SqlStorage, generation: number): string | null {
  return sql
    .exec<{ open_folds: string | null }>(
      'select open_folds from generations where generation = ?',
      generation,
    )
    .one().open_folds;
}

export function writeOpenFolds(sql: SqlStorage, generation: number, text: string): void {
  sql.exec('update generations set open_folds = ? where generation = ?', text, generation);
}

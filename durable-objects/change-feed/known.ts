import * as z from 'zod';

/**
 * The most ids of one row: 1.1 MB if each takes 17 characters, and 130 KB if they follow each other. So the ids of a full
 * log are in three rows at most.
 */
const ROW_IDS_MAX = 64_000;
/** Ids of pruned changes leave the memory after this many: all ids are looked at then. */
const FORGOTTEN_IDS_MIN = 16_000;

const Differences = z.array(z.int());

/** The row that ids are added to. */
interface OpenRow {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** The last id; the next one is written as the difference to it. */
  readonly lastId: number;
  readonly text: string;
}

/**
 * The outbox ids of the logged changes, by which the log recognises a duplicate. They are held in memory, and read from
 * SQLite when they are first needed. SQLite has them in a few rows apart from the changes, so that the first append after
 * an eviction does not read the whole log. The ids of the newest segment are not in these rows: its own row has them.
 */
export class KnownChanges {
  readonly #sql: SqlStorage;
  readonly #seqs = new Map<number, number>();
  readonly #changed: OpenRow[] = [];
  #open: OpenRow | undefined;
  #forgottenTo: number;

  /** @param floor the number of the last change that was pruned. */
  constructor(sql: SqlStorage, floor: number) {
    this.#sql = sql;
    this.#forgottenTo = floor;
    const rows = sql.exec<{ first_seq: number; last_seq: number; ids: string }>(
      'select first_seq, last_seq, ids from known order by first_seq',
    );
    let hasPruned = false;
    for (const { first_seq: firstSeq, last_seq: lastSeq, ids } of rows) {
      if (lastSeq <= floor) {
        hasPruned = true;
        continue;
      }
      let id = 0;
      for (const [index, difference] of Differences.parse(JSON.parse(`[${ids}]`)).entries()) {
        id += difference;
        if (firstSeq + index > floor) this.#seqs.set(id, firstSeq + index);
      }
      this.#open = { firstSeq, lastSeq, lastId: id, text: ids };
    }
    if (hasPruned) this.#deleteRows(floor);
  }

  /** The number of a change in the log, which may have been pruned since. */
  seqOf(id: number): number | undefined {
    return this.#seqs.get(id);
  }

  /** Notes the ids of the newest segment, in memory only. */
  note(firstSeq: number, ids: readonly number[]): void {
    for (const [index, id] of ids.entries()) this.#seqs.set(id, firstSeq + index);
  }

  /** Adds the ids of a segment that takes no more changes; {@link save} writes them. */
  add(firstSeq: number, ids: readonly number[]): void {
    this.note(firstSeq, ids);
    const lastSeq = firstSeq + ids.length - 1;
    const open = this.#open;
    const isFull = open === undefined || lastSeq - open.firstSeq >= ROW_IDS_MAX;
    if (isFull && open !== undefined) this.#changed.push(open);
    const added = ids.map((id, index) => id - (ids[index - 1] ?? (isFull ? 0 : open.lastId))).join(',');
    this.#open = {
      firstSeq: isFull ? firstSeq : open.firstSeq,
      lastSeq,
      lastId: ids.at(-1) ?? 0,
      text: isFull ? added : `${open.text},${added}`,
    };
  }

  /** Writes the ids that were added: one row, or two where the first is full. */
  save(): void {
    if (this.#open === undefined) return;
    for (const { firstSeq, lastSeq, text } of [...this.#changed.splice(0), this.#open])
      this.#sql.exec(
        'insert or replace into known (first_seq, last_seq, ids) values (?, ?, ?)',
        firstSeq,
        lastSeq,
        text,
      );
  }

  /** Removes the ids of changes up to `floor`, once there are many. */
  forget(floor: number): void {
    if (floor - this.#forgottenTo < FORGOTTEN_IDS_MIN) return;
    this.#forgottenTo = floor;
    for (const [id, seq] of this.#seqs) if (seq <= floor) this.#seqs.delete(id);
    this.#deleteRows(floor);
  }

  #deleteRows(floor: number): void {
    this.#sql.exec('delete from known where last_seq <= ?', floor);
    if (this.#open !== undefined && this.#open.lastSeq <= floor) this.#open = undefined;
  }
}

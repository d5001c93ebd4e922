import * as z from 'zod';
import { FeedChange } from '../../src/pipeline/feed/change.ts';
import type { Kept } from '../../src/pipeline/feed/position.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** How long a change is kept, in milliseconds: a client that is away for less misses nothing. */
export const KEPT_MS = 60 * 60_000;
/** The most changes that are kept, newest first: about 30 MB. */
export const KEPT_CHANGES_MAX = 100_000;

const Ids = z.array(z.int());

interface Row extends Record<string, SqlStorageValue> {
  first_seq: number;
  changes: string;
}

/** The newest changes in the order of their arrival, numbered, in the object's SQLite. */
export class FeedStore {
  readonly #sql: SqlStorage;
  readonly #epoch: string;
  /** Outbox ids of the kept changes, and for a while of pruned ones; read from SQLite when first needed. */
  #known: Set<number> | undefined;

  constructor(storage: DurableObjectStorage, newEpoch: () => string) {
    migrate(storage, MIGRATIONS);
    this.#sql = storage.sql;
    this.#sql.exec('insert into log_epoch (only, epoch) values (1, ?) on conflict do nothing', newEpoch());
    this.#epoch = String(this.#sql.exec('select epoch from log_epoch').one()['epoch']);
  }

  /** Appends the changes that are not in the log yet, as one row. Numbers rise by one, without a gap. */
  append(sent: readonly FeedChange[], nowMs: number): void {
    const known = this.#knownChanges();
    const changes = [
      // A call may have a change twice: two messages of one batch can hold it.
      ...new Map(sent.map((one) => [one.change, one])).values(),
    ].filter(({ change }) => !known.has(change));
    if (changes.length === 0) return;
    const first = this.kept().newest + 1;
    const last = first + changes.length - 1;
    const ids = changes.map(({ change }) => change);
    this.#sql.exec(
      'insert into batches (first_seq, last_seq, at_ms, ids, changes) values (?, ?, ?, ?, ?)',
      first,
      last,
      nowMs,
      JSON.stringify(ids),
      JSON.stringify(changes),
    );
    for (const id of ids) known.add(id);
    this.prune(nowMs);
  }

  kept(): Kept {
    const { floor, newest } = this.#sql
      .exec<{ floor: number | null; newest: number | null }>(
        'select min(first_seq) - 1 as floor, max(last_seq) as newest from batches',
      )
      .one();
    return { epoch: this.#epoch, floor: floor ?? 0, newest: newest ?? 0 };
  }

  /** The next changes after a number, each with its own number, at most `max`. */
  after(seq: number, max: number): { readonly seq: number; readonly change: FeedChange }[] {
    const read: { readonly seq: number; readonly change: FeedChange }[] = [];
    const rows = this.#sql.exec<Row>(
      'select first_seq, changes from batches where last_seq > ? order by first_seq',
      seq,
    );
    // Reads row by row, so that a reader that is far behind does not load everything that it has missed.
    for (const { first_seq: first, changes } of rows) {
      const batch = z.array(FeedChange).parse(JSON.parse(changes));
      read.push(
        ...batch.map((change, index) => ({ seq: first + index, change })).filter((one) => one.seq > seq),
      );
      if (read.length >= max) break;
    }
    return read.slice(0, max);
  }

  /** Removes changes that are too old or too many. The newest batch stays, because numbering continues from it. */
  prune(nowMs: number): void {
    this.#sql.exec(
      `delete from batches where last_seq < (select max(last_seq) from batches)
       and (at_ms < ? or last_seq <= (select max(last_seq) from batches) - ?)`,
      nowMs - KEPT_MS,
      KEPT_CHANGES_MAX,
    );
    // Drops the ids of pruned changes; the kept ones are read again when needed.
    if ((this.#known?.size ?? 0) > 2 * KEPT_CHANGES_MAX) this.#known = undefined;
  }

  #knownChanges(): Set<number> {
    if (this.#known === undefined) {
      const rows = this.#sql.exec<{ ids: string }>('select ids from batches').toArray();
      this.#known = new Set(rows.flatMap(({ ids }) => Ids.parse(JSON.parse(ids))));
    }
    return this.#known;
  }
}

import * as z from 'zod';
import { FeedChange } from '../../src/pipeline/feed/change.ts';
import type { Kept } from '../../src/pipeline/feed/position.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** How long a change is kept, in milliseconds: a client may be away for that long and miss nothing. */
export const KEPT_MS = 60 * 60_000;
/** Changes that are kept at most, the newest: some 30 MB. */
export const KEPT_CHANGES_MAX = 100_000;

const Ids = z.array(z.int());

interface Row extends Record<string, SqlStorageValue> {
  first_seq: number;
  changes: string;
}

/** The newest changes in the order in which they were told, each with a number of its own, in the object's SQLite. */
export class FeedStore {
  readonly #sql: SqlStorage;
  readonly #epoch: string;
  /** The outbox numbers of what is kept, and for a while of what was; read when first needed. */
  #known: Set<number> | undefined;

  constructor(storage: DurableObjectStorage, newEpoch: () => string) {
    migrate(storage, MIGRATIONS);
    this.#sql = storage.sql;
    this.#sql.exec('insert into log_epoch (only, epoch) values (1, ?) on conflict do nothing', newEpoch());
    this.#epoch = String(this.#sql.exec('select epoch from log_epoch').one()['epoch']);
  }

  /** Appends, in one row, what is not there yet; numbers rise by one without a gap. */
  append(sent: readonly FeedChange[], nowMs: number): void {
    const known = this.#knownChanges();
    const changes = sent.filter(({ change }) => !known.has(change));
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

  /** The next changes after a number, with theirs, `max` at most. */
  after(seq: number, max: number): { readonly seq: number; readonly change: FeedChange }[] {
    const read: { readonly seq: number; readonly change: FeedChange }[] = [];
    const rows = this.#sql.exec<Row>(
      'select first_seq, changes from batches where last_seq > ? order by first_seq',
      seq,
    );
    // Row by row: a reader that is far behind does not have everything read that it has missed.
    for (const { first_seq: first, changes } of rows) {
      const batch = z.array(FeedChange).parse(JSON.parse(changes));
      read.push(
        ...batch.map((change, index) => ({ seq: first + index, change })).filter((one) => one.seq > seq),
      );
      if (read.length >= max) break;
    }
    return read.slice(0, max);
  }

  /** Forgets what is too old or too much. The newest batch stays: it holds the number that the next one follows. */
  prune(nowMs: number): void {
    this.#sql.exec(
      `delete from batches where last_seq < (select max(last_seq) from batches)
       and (at_ms < ? or last_seq <= (select max(last_seq) from batches) - ?)`,
      nowMs - KEPT_MS,
      KEPT_CHANGES_MAX,
    );
    // Read again when it is needed, without what has been forgotten.
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

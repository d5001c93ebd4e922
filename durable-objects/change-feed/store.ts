import * as z from 'zod';
import { FeedChange } from '../../src/pipeline/feed/change.ts';
import type { Kept } from '../../src/pipeline/feed/position.ts';
import { packBySize, sized, utf8Length } from '../../src/platform/pack.ts';
import { migrate } from '../sqlite-migrations.ts';
import { KnownChanges } from './known.ts';
import { MIGRATIONS } from './migrations.ts';

/** How long a change is kept, in milliseconds: a client that is away for less misses nothing. */
export const KEPT_MS = 60 * 60_000;
/** The most changes that are kept, newest first. */
export const KEPT_CHANGES_MAX = 100_000;
/** The most bytes of changes that are kept, newest first: 320 a change of {@link KEPT_CHANGES_MAX}. */
export const KEPT_BYTES_MAX = 32 * 1024 * 1024;
/** The most changes of one page. */
export const PAGE_CHANGES_MAX = 1_000;
/**
 * A page ends with the segment that brings it to this many bytes. So a page, which a stream holds in memory until its
 * client takes it, has at most twice as many, whatever the log holds; a change that is larger than a segment adds its own.
 */
export const PAGE_BYTES = 128 * 1024;
/** The most bytes of one segment; a change that has more is a segment of its own. */
export const SEGMENT_BYTES_MAX = PAGE_BYTES;
/**
 * The newest segment takes further changes up to this many bytes. More makes fewer rows, and every append writes the
 * whole segment.
 */
export const MERGED_BYTES_MAX = 32 * 1024;
/** The newest segment takes further changes for this long, in milliseconds: changes leave the log by whole segments. */
export const MERGED_MS = 5 * 60_000;
/**
 * The most segments that one call removes. Two segments that follow each other have more than {@link MERGED_BYTES_MAX}
 * together, so one append (640 KB, a consumer's group of messages) displaces at most 42.
 */
export const PRUNED_SEGMENTS_MAX = 100;

interface Row extends Record<string, SqlStorageValue> {
  first_seq: number;
  last_seq: number;
  opened_ms: number;
  at_ms: number;
  bytes_to: number;
}

/** The newest segment. */
interface Tail {
  readonly firstSeq: number;
  readonly openedMs: number;
  readonly bytes: number;
  readonly bytesTo: number;
  readonly changes: readonly FeedChange[];
  /** The changes as JSON. */
  readonly text: string;
}

export interface NumberedChange {
  readonly seq: number;
  readonly change: FeedChange;
}

const FACTS = 'first_seq, last_seq, opened_ms, at_ms, bytes_to';

/**
 * The newest changes in the order of their arrival, numbered without a gap, in the object's SQLite. A row is a segment:
 * the changes of one append, or of several small ones. The newest segment is also in memory, where most readers are.
 */
export class FeedStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #epoch: string;
  #tail: Tail | undefined;
  #oldest: Row | undefined;
  #known: KnownChanges | undefined;

  constructor(storage: DurableObjectStorage, newEpoch: () => string) {
    migrate(storage, MIGRATIONS);
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#epoch = this.#readEpoch(newEpoch);
    this.#load();
  }

  /** Appends the changes that are not in the log yet. Numbers rise by one, without a gap. */
  append(sent: readonly FeedChange[], nowMs: number): void {
    const { floor } = this.kept();
    const known = this.#knownChanges();
    const changes = [
      // A call may have a change twice: two messages of one batch can hold it.
      ...new Map(sent.map((one) => [one.change, one])).values(),
    ].filter(({ change }) => (known.seqOf(change) ?? 0) <= floor);
    if (changes.length === 0) return;
    try {
      this.#storage.transactionSync(() => this.#write(changes, nowMs, known));
    } catch (error) {
      // What memory holds may not be on disk.
      this.#known = undefined;
      this.#load();
      throw error;
    }
    this.prune(nowMs);
  }

  kept(): Kept {
    const tail = this.#tail;
    return {
      epoch: this.#epoch,
      floor: (this.#oldest?.first_seq ?? 1) - 1,
      newest: tail === undefined ? 0 : tail.firstSeq + tail.changes.length - 1,
    };
  }

  /**
   * The next changes after a number, each with its own number: at most {@link PAGE_CHANGES_MAX}, and about
   * {@link PAGE_BYTES}. Empty only if there are none.
   */
  page(seq: number): NumberedChange[] {
    const tail = this.#tail;
    if (tail === undefined || seq >= tail.firstSeq - 1) return numbered(tail, seq).slice(0, PAGE_CHANGES_MAX);
    const page: NumberedChange[] = [];
    let bytes = 0;
    const rows = this.#sql.exec<{ first_seq: number; changes: string }>(
      `select first_seq, changes from segments
       where first_seq >= (select first_seq from segments where first_seq <= ? order by first_seq desc limit 1)
       order by first_seq`,
      seq + 1,
    );
    for (const { first_seq: firstSeq, changes } of rows) {
      page.push(...numbered({ firstSeq, changes: changesOf(changes) }, seq));
      bytes += utf8Length(changes);
      if (page.length >= PAGE_CHANGES_MAX || bytes >= PAGE_BYTES) break;
    }
    return page.slice(0, PAGE_CHANGES_MAX);
  }

  /**
   * Removes segments that are too old or too many, at most {@link PRUNED_SEGMENTS_MAX}. The newest segment stays, because
   * numbering continues from it.
   *
   * @returns whether more may be due.
   */
  prune(nowMs: number): boolean {
    const tail = this.#tail;
    if (tail === undefined) return false;
    const { newest } = this.kept();
    const isDue = (row: Row) =>
      row.first_seq < tail.firstSeq &&
      (row.at_ms < nowMs - KEPT_MS ||
        row.last_seq <= newest - KEPT_CHANGES_MAX ||
        row.bytes_to <= tail.bytesTo - KEPT_BYTES_MAX);
    if (this.#oldest === undefined || !isDue(this.#oldest)) return false;
    let removed = 0;
    for (const row of this.#sql.exec<Row>(`select ${FACTS} from segments order by first_seq`)) {
      this.#oldest = row;
      if (removed === PRUNED_SEGMENTS_MAX || !isDue(row)) break;
      removed += 1;
    }
    this.#sql.exec('delete from segments where first_seq < ?', this.#oldest.first_seq);
    return removed === PRUNED_SEGMENTS_MAX;
  }

  #write(changes: readonly FeedChange[], nowMs: number, known: KnownChanges): void {
    let isClosed = false;
    for (const { item, bytes } of packBySize(changes.map(sized), SEGMENT_BYTES_MAX, PAGE_CHANGES_MAX)) {
      const tail = this.#tail;
      if (tail !== undefined && takes(tail, bytes, item.length, nowMs)) {
        this.#extendTail(tail, item, bytes, nowMs);
      } else {
        if (tail !== undefined) known.add(tail.firstSeq, tail.changes.map(idOf));
        isClosed ||= tail !== undefined;
        this.#insertTail(item, bytes, nowMs);
      }
    }
    if (isClosed) known.save();
    if (this.#tail !== undefined) known.note(this.#tail.firstSeq, this.#tail.changes.map(idOf));
    this.#oldest ??= this.#oldestRow();
  }

  #extendTail(tail: Tail, added: readonly FeedChange[], bytes: number, nowMs: number): void {
    const text = `${tail.text.slice(0, -1)},${JSON.stringify(added).slice(1)}`;
    const changes = [...tail.changes, ...added];
    const bytesTo = tail.bytesTo + bytes;
    this.#sql.exec(
      'update segments set last_seq = ?, at_ms = ?, bytes_to = ?, changes = ? where first_seq = ?',
      ...[tail.firstSeq + changes.length - 1, nowMs, bytesTo, text, tail.firstSeq],
    );
    this.#tail = { ...tail, bytes: tail.bytes + bytes, bytesTo, changes, text };
  }

  #insertTail(changes: readonly FeedChange[], bytes: number, nowMs: number): void {
    const firstSeq = this.kept().newest + 1;
    const bytesTo = (this.#tail?.bytesTo ?? 0) + bytes;
    const text = JSON.stringify(changes);
    this.#sql.exec(
      `insert into segments (${FACTS}, changes) values (?, ?, ?, ?, ?, ?)`,
      ...[firstSeq, firstSeq + changes.length - 1, nowMs, nowMs, bytesTo, text],
    );
    this.#tail = { firstSeq, openedMs: nowMs, bytes, bytesTo, changes, text };
  }

  #readEpoch(newEpoch: () => string): string {
    const [row] = this.#sql.exec<{ epoch: string }>('select epoch from log_epoch').toArray();
    if (row !== undefined) return row.epoch;
    const epoch = newEpoch();
    this.#sql.exec('insert into log_epoch (only, epoch) values (1, ?)', epoch);
    return epoch;
  }

  #oldestRow(): Row | undefined {
    return this.#sql.exec<Row>(`select ${FACTS} from segments order by first_seq limit 1`).toArray()[0];
  }

  /** Reads the oldest and the newest segment. */
  #load(): void {
    this.#oldest = this.#oldestRow();
    const [newest] = this.#sql
      .exec<Row & { changes: string }>(
        `select ${FACTS}, changes from segments order by first_seq desc limit 1`,
      )
      .toArray();
    this.#tail = newest && {
      firstSeq: newest.first_seq,
      openedMs: newest.opened_ms,
      bytes: utf8Length(newest.changes),
      bytesTo: newest.bytes_to,
      changes: changesOf(newest.changes),
      text: newest.changes,
    };
  }

  #knownChanges(): KnownChanges {
    const { floor } = this.kept();
    if (this.#known === undefined) {
      this.#known = new KnownChanges(this.#sql, floor);
      if (this.#tail !== undefined) this.#known.note(this.#tail.firstSeq, this.#tail.changes.map(idOf));
    } else this.#known.forget(floor);
    return this.#known;
  }
}

function idOf({ change }: FeedChange): number {
  return change;
}

function changesOf(text: string): FeedChange[] {
  return z.array(FeedChange).parse(JSON.parse(text));
}

function takes(tail: Tail, bytes: number, changes: number, nowMs: number): boolean {
  return (
    tail.bytes + bytes <= MERGED_BYTES_MAX &&
    tail.changes.length + changes <= PAGE_CHANGES_MAX &&
    nowMs - tail.openedMs < MERGED_MS
  );
}

function numbered(
  segment: Pick<Tail, 'firstSeq' | 'changes'> | undefined,
  afterSeq: number,
): NumberedChange[] {
  if (segment === undefined) return [];
  const { firstSeq, changes } = segment;
  const skipped = Math.max(0, afterSeq + 1 - firstSeq);
  return changes.slice(skipped).map((change, index) => ({ seq: firstSeq + skipped + index, change }));
}

import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** How long an event is remembered, in milliseconds. */
export const KEPT_MS = 24 * 60 * 60_000;
/** The most events that are remembered, newest first: 2 MB on disk, and about 20 MB in memory while they are asked for. */
export const KEPT_EVENTS_MAX = 250_000;

/** A segment takes the events of further requests until it has this many, so that many small requests are few rows. */
const SEGMENT_EVENTS_MAX = 512;
/** A segment takes further events for this long, in milliseconds: events are forgotten by whole segments. */
export const SEGMENT_MS = 5 * 60_000;

/** After this long without a question, in milliseconds, the hashes leave the memory. */
export const UNASKED_MS = 60_000;

interface Known {
  /** How often each hash occurs: an event may be sent twice. */
  readonly counts: Map<number, number>;
  askedAtMs: number;
}

/** The newest row, to which the events of small requests are added. */
interface Segment {
  readonly seq: number;
  readonly openedMs: number;
  readonly hashes: number[];
}

/**
 * Hashes of the identities of the last queued events, in the object's SQLite; in memory only until they are saved, and
 * while they are asked for. The platform charges for rows: a save writes one, whatever the number of its requests, and
 * their events share the row with those of the saves around it.
 */
export class QueuedStore {
  readonly #sql: SqlStorage;
  #known: Known | undefined;
  #events: number;
  /** Undefined after a start, and where the newest row is full. */
  #open: Segment | undefined;
  #lastSeq: number;
  #unsaved = new Set<number>();

  constructor(storage: DurableObjectStorage) {
    migrate(storage, MIGRATIONS);
    this.#sql = storage.sql;
    const [row] = this.#sql.exec<{ events: number | null; last: number | null }>(
      'select sum(events) as events, max(seq) as last from segments',
    );
    this.#events = row?.events ?? 0;
    this.#lastSeq = row?.last ?? 0;
  }

  /** Remembers events in memory, until `save`. */
  note(hashes: readonly number[], nowMs: number): void {
    for (const hash of hashes) this.#unsaved.add(hash);
    if (nowMs - (this.#known?.askedAtMs ?? 0) > UNASKED_MS) this.#known = undefined;
  }

  /** Whether a row's worth of events waits to be saved. */
  get isFull(): boolean {
    return this.#unsaved.size >= SEGMENT_EVENTS_MAX;
  }

  save(nowMs: number): void {
    const hashes = [...this.#unsaved];
    if (hashes.length === 0) return;
    const segment = this.#segmentFor(hashes, nowMs);
    this.#sql.exec(
      'insert or replace into segments (seq, at_ms, events, hashes) values (?, ?, ?, ?)',
      segment.seq,
      nowMs,
      segment.hashes.length,
      Float64Array.from(segment.hashes).buffer,
    );
    this.#open = segment.hashes.length < SEGMENT_EVENTS_MAX ? segment : undefined;
    this.#lastSeq = segment.seq;
    this.#events += hashes.length;
    this.#unsaved = new Set();
    if (this.#known !== undefined) add(this.#known.counts, hashes, 1);
    this.prune(nowMs);
  }

  /** The segment with these events added: the open one, unless it is full or old. Memory changes only after the write. */
  #segmentFor(hashes: readonly number[], nowMs: number): Segment {
    const open = this.#open;
    if (
      open === undefined ||
      open.hashes.length + hashes.length > SEGMENT_EVENTS_MAX ||
      nowMs - open.openedMs > SEGMENT_MS
    )
      return { seq: this.#lastSeq + 1, openedMs: nowMs, hashes: [...hashes] };
    return { ...open, hashes: [...open.hashes, ...hashes] };
  }

  has(hash: number, nowMs: number): boolean {
    this.#known ??= { counts: this.#read(), askedAtMs: nowMs };
    this.#known.askedAtMs = nowMs;
    return this.#unsaved.has(hash) || this.#known.counts.has(hash);
  }

  /** Removes saved events that are too old or too many; returns whether any are left. */
  prune(nowMs: number): boolean {
    for (;;) {
      const [oldest] = this.#sql
        .exec<{ seq: number; at_ms: number; events: number; hashes: ArrayBuffer }>(
          'select seq, at_ms, events, hashes from segments order by seq limit 1',
        )
        .toArray();
      if (oldest === undefined) return false;
      if (oldest.at_ms >= nowMs - KEPT_MS && this.#events <= KEPT_EVENTS_MAX) return true;
      this.#sql.exec('delete from segments where seq = ?', oldest.seq);
      if (this.#open?.seq === oldest.seq) this.#open = undefined;
      this.#events -= oldest.events;
      if (this.#known !== undefined) add(this.#known.counts, new Float64Array(oldest.hashes), -1);
    }
  }

  #read(): Map<number, number> {
    const counts = new Map<number, number>();
    for (const { hashes } of this.#sql.exec<{ hashes: ArrayBuffer }>('select hashes from segments'))
      add(counts, new Float64Array(hashes), 1);
    return counts;
  }
}

function add(counts: Map<number, number>, hashes: Iterable<number>, by: 1 | -1): void {
  for (const hash of hashes) {
    const count = (counts.get(hash) ?? 0) + by;
    if (count > 0) counts.set(hash, count);
    else counts.delete(hash);
  }
}

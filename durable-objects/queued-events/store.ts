import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** How long an event is remembered, in milliseconds. */
export const KEPT_MS = 24 * 60 * 60_000;
/** Events that are remembered at most, the newest: 2 MB on disk and some 20 MB in memory. */
export const KEPT_EVENTS_MAX = 250_000;

/** The events that were queued last, as hashes of their identities, in the object's SQLite and in memory. */
export class QueuedStore {
  readonly #sql: SqlStorage;
  /** How often each hash is there: an event may be sent twice. Read when first needed. */
  #counts: Map<number, number> | undefined;
  #events = 0;

  constructor(storage: DurableObjectStorage) {
    migrate(storage, MIGRATIONS);
    this.#sql = storage.sql;
  }

  note(hashes: readonly number[], nowMs: number): void {
    if (hashes.length === 0) return;
    const counts = this.#known();
    this.#sql.exec(
      'insert into requests (at_ms, events, hashes) values (?, ?, ?)',
      nowMs,
      hashes.length,
      Float64Array.from(hashes).buffer,
    );
    this.#add(counts, hashes, 1);
    this.prune(nowMs);
  }

  has(hash: number): boolean {
    return this.#known().has(hash);
  }

  /** Forgets what is too old or too much; returns whether anything is left. */
  prune(nowMs: number): boolean {
    const counts = this.#known();
    for (;;) {
      const [oldest] = this.#sql
        .exec<{ seq: number; at_ms: number; hashes: ArrayBuffer }>(
          'select seq, at_ms, hashes from requests order by seq limit 1',
        )
        .toArray();
      if (oldest === undefined) return false;
      if (oldest.at_ms >= nowMs - KEPT_MS && this.#events <= KEPT_EVENTS_MAX) return true;
      this.#sql.exec('delete from requests where seq = ?', oldest.seq);
      this.#add(counts, new Float64Array(oldest.hashes), -1);
    }
  }

  #known(): Map<number, number> {
    if (this.#counts !== undefined) return this.#counts;
    const counts = new Map<number, number>();
    for (const { hashes } of this.#sql.exec<{ hashes: ArrayBuffer }>('select hashes from requests'))
      this.#add(counts, new Float64Array(hashes), 1);
    this.#counts = counts;
    return counts;
  }

  #add(counts: Map<number, number>, hashes: Iterable<number>, by: 1 | -1): void {
    for (const hash of hashes) {
      const count = (counts.get(hash) ?? 0) + by;
      if (count > 0) counts.set(hash, count);
      else counts.delete(hash);
      this.#events += by;
    }
  }
}

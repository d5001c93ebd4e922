import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** How long a key belongs to its first request, in milliseconds. Keys that begin within one such time are deleted together. */
export const KEPT_MS = 24 * 60 * 60_000;
/**
 * How long a request may work under its key, in milliseconds: longer than the deadlines of every route together. If its
 * isolate dies, the key is free after this time.
 */
export const LEASE_MS = 120_000;
/** The most bytes of one object's database: a tenth of what the platform allows. */
const DATABASE_BYTES_MAX = 1024 ** 3;
/** The most rows that one alarm deletes. */
const PRUNE_ROWS_MAX = 5_000;

/**
 * What a request is to do:
 * - `new`: carry itself out, under the lease that it named.
 * - `in_flight`: wait, since an earlier request with this key is at work.
 * - `reused`: fail, since the key belongs to a request with another fingerprint.
 * - `done`: give the answer of the first request; `answer` is null if it was too large to keep.
 * - `full`: fail, since the object keeps as much as it may.
 */
export type Begun =
  | { readonly state: 'new' | 'in_flight' | 'reused' | 'full' }
  | { readonly state: 'done'; readonly status: number; readonly answer: ArrayBuffer | null };

interface Row extends Record<string, SqlStorageValue> {
  day: number;
  fingerprint: string;
  expires_ms: number;
  lease: string;
  lease_ends_ms: number;
  status: number | null;
  answer: ArrayBuffer | null;
}

/** The keys of the last day and their answers, in the object's SQLite. A key writes a row when it begins, ends and expires. */
export class KeyStore {
  readonly #storage: DurableObjectStorage;
  readonly #bytesMax: number;

  constructor(storage: DurableObjectStorage, bytesMax = DATABASE_BYTES_MAX) {
    migrate(storage, MIGRATIONS);
    this.#storage = storage;
    this.#bytesMax = bytesMax;
  }

  begin(id: string, fingerprint: string, lease: string, nowMs: number): Begun {
    const row = this.#find(id, nowMs);
    if (row === undefined) return this.#open(id, fingerprint, lease, nowMs);
    if (row.fingerprint !== fingerprint) return { state: 'reused' };
    if (row.status !== null) return { state: 'done', status: row.status, answer: row.answer };
    if (row.lease !== lease && row.lease_ends_ms > nowMs) return { state: 'in_flight' };
    this.#storage.sql.exec(
      'update keys set lease = ?, lease_ends_ms = ? where day = ? and id = ?',
      lease,
      nowMs + LEASE_MS,
      row.day,
      id,
    );
    return { state: 'new' };
  }

  /** Keeps an answer. A request whose lease another one has taken over keeps nothing. */
  keep(id: string, lease: string, status: number, answer: ArrayBuffer | null, nowMs: number): boolean {
    const row = this.#held(id, lease, nowMs);
    if (row === undefined) return false;
    this.#storage.sql.exec(
      'update keys set status = ?, answer = ? where day = ? and id = ?',
      status,
      answer,
      row.day,
      id,
    );
    return true;
  }

  /** Frees the key of a request that may be sent again. */
  release(id: string, lease: string, nowMs: number): void {
    const row = this.#held(id, lease, nowMs);
    if (row !== undefined) this.#storage.sql.exec('delete from keys where day = ? and id = ?', row.day, id);
  }

  /**
   * Deletes the keys of days that have expired entirely.
   *
   * @returns when to prune again; undefined if no key is left.
   */
  prune(nowMs: number): number | undefined {
    const { sql } = this.#storage;
    const expired = dayOf(nowMs) - 2;
    const deleted = sql.exec(
      'delete from keys where (day, id) in (select day, id from keys where day <= ? limit ?)',
      expired,
      PRUNE_ROWS_MAX,
    );
    if (deleted.rowsWritten >= PRUNE_ROWS_MAX) return nowMs;
    const [oldest] = sql.exec<{ day: number }>('select day from keys order by day limit 1').toArray();
    return oldest === undefined ? undefined : pruneAtMs(oldest.day);
  }

  #open(id: string, fingerprint: string, lease: string, nowMs: number): Begun {
    const { sql } = this.#storage;
    if (sql.databaseSize > this.#bytesMax) return { state: 'full' };
    // It may replace the expired row of the same day.
    sql.exec(
      'insert or replace into keys (day, id, fingerprint, expires_ms, lease, lease_ends_ms) values (?, ?, ?, ?, ?, ?)',
      dayOf(nowMs),
      id,
      fingerprint,
      nowMs + KEPT_MS,
      lease,
      nowMs + LEASE_MS,
    );
    return { state: 'new' };
  }

  #held(id: string, lease: string, nowMs: number): Row | undefined {
    const row = this.#find(id, nowMs);
    return row?.lease === lease && row.status === null ? row : undefined;
  }

  /** A key that is valid began today or yesterday. */
  #find(id: string, nowMs: number): Row | undefined {
    const today = dayOf(nowMs);
    for (const day of [today, today - 1]) {
      const [row] = this.#storage.sql
        .exec<Row>('select * from keys where day = ? and id = ?', day, id)
        .toArray();
      if (row !== undefined && row.expires_ms > nowMs) return row;
    }
    return undefined;
  }
}

/** The number of a day, UTC, since the Unix epoch. */
export function dayOf(nowMs: number): number {
  return Math.floor(nowMs / KEPT_MS);
}

/** When all keys of a day have expired. */
export function pruneAtMs(day: number): number {
  return (day + 2) * KEPT_MS;
}

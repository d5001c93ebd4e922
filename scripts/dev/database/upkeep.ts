import type { PGlite } from '@electric-sql/pglite';

/**
 * Log written since the last checkpoint after which the next one is due, in bytes. A checkpoint makes each page that is
 * written after it go into the log as a whole, so much more often costs time; the log takes about twice this on disk.
 */
const CHECKPOINT_WAL_BYTES = 128 * 1024 * 1024;
/** Requests between two looks at the log's length: a look takes some tenths of a millisecond, a request may write 5 MB. */
const LOOK_EVERY_REQUESTS = 16;

/** Parameters of the server. It keeps that much log for reuse, and not the gigabyte that is the default. */
export const UPKEEP_PARAMS = ['-c', `max_wal_size=${(2 * CHECKPOINT_WAL_BYTES) / 1024 / 1024}MB`] as const;

/**
 * Does what the background processes of a Postgres server do and the embedded one, a single process, never does: a
 * checkpoint, without which the log grows until the database is closed, and statistics, without which the planner reads
 * whole tables that were small when it last looked.
 */
export class Upkeep {
  #requests = 0;
  #checkpointedAt = 0;

  /** Whether to look after this request. */
  isDue(): boolean {
    this.#requests += 1;
    return this.#requests % LOOK_EVERY_REQUESTS === 0;
  }

  /** Analyzes all tables and makes a checkpoint, if enough was written since the last one. */
  async look(db: Pick<PGlite, 'query' | 'exec'>): Promise<void> {
    const { rows } = await db.query<{ written: string }>(
      "select (pg_current_wal_insert_lsn() - '0/0')::text as written",
    );
    const written = Number(rows[0]?.written);
    if (this.#checkpointedAt === 0) this.#checkpointedAt = written;
    if (written - this.#checkpointedAt < CHECKPOINT_WAL_BYTES) return;
    await db.exec('analyze');
    await db.exec('checkpoint');
    this.#checkpointedAt = written;
  }
}

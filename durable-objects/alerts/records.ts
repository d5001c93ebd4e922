import * as z from 'zod';
import { log } from '../../src/platform/logger.ts';

/** The most records that wait for the database: days of work by hand. Beyond, the oldest is dropped. */
const RECORDS_MAX = 1_000;
/** The most records that are written at once. */
const BATCH_MAX = 20;

/** An entry of the audit log. */
const Recorded = z.object({
  at: z.string(),
  record: z.string(),
  principal: z.string(),
  action: z.string(),
  target: z.string(),
  detail: z.unknown(),
  before: z.unknown(),
  after: z.unknown(),
});
export type Recorded = z.output<typeof Recorded>;

/**
 * Changes that callers made here, on their way to the audit log in Postgres. They are stored with the change, because it must
 * be possible while the database is dead, and are written as soon as it answers: at least once.
 */
export class ActionRecords {
  readonly #storage: DurableObjectStorage;
  #isWriting = false;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Stores a record. Call it in the transaction of the change. */
  add(record: Recorded): void {
    const { sql } = this.#storage;
    sql.exec('insert into records (value) values (?)', JSON.stringify(record));
    const { rowsWritten } = sql.exec(
      'delete from records where number <= (select max(number) from records) - ?',
      RECORDS_MAX,
    );
    if (rowsWritten > 0)
      log('error', 'An entry for the audit log was dropped: too many wait for the database.', {
        'event.action': 'alerts-audit',
      });
  }

  /** Writes what waits, in its order, until a record cannot be written. */
  async write(to: (record: Recorded) => Promise<void>): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    try {
      const rows = this.#storage.sql
        .exec<{ number: number; value: string }>(
          'select number, value from records order by number limit ?',
          BATCH_MAX,
        )
        .toArray();
      for (const { number, value } of rows) {
        await to(Recorded.parse(JSON.parse(value)));
        this.#storage.sql.exec('delete from records where number = ?', number);
      }
    } catch {
      // The alarm repeats it.
    } finally {
      this.#isWriting = false;
    }
  }
}

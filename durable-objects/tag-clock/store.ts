import { type Clock, newClock, raise } from '../../src/cache/clock/clock.ts';
import { SQL_PARAMETERS_MAX } from '../../src/platform/limits.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** Slots written by one statement. Each takes two parameters. */
const SLOTS_PER_STATEMENT = SQL_PARAMETERS_MAX / 2;

/** The clock's state in the object's own SQLite. */
export class ClockStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
  }

  /** Reads the clock; if there is none yet, creates and persists one with a new epoch. */
  load(newEpoch: () => string): Clock {
    const { sql } = this.#storage;
    const [row] = sql.exec<{ epoch: string; seq: number }>('select epoch, seq from clock').toArray();
    if (row === undefined) {
      const epoch = newEpoch();
      sql.exec('insert into clock (id, epoch, seq) values (0, ?, 0)', epoch);
      return newClock(epoch);
    }
    const clock = newClock(row.epoch);
    clock.seq = row.seq;
    for (const { slot, seq } of sql.exec<{ slot: number; seq: number }>('select slot, seq from slots')) {
      raise(clock, slot, seq);
    }
    return clock;
  }

  /** Persists one invalidation in one transaction. The platform holds back the answer until it is on disk. */
  save(seq: number, slots: readonly number[]): void {
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      sql.exec('update clock set seq = ? where id = 0', seq);
      for (let from = 0; from < slots.length; from += SLOTS_PER_STATEMENT) {
        const part = slots.slice(from, from + SLOTS_PER_STATEMENT);
        const values = part.map(() => '(?, ?)').join(', ');
        sql.exec(
          `insert into slots (slot, seq) values ${values} on conflict (slot) do update set seq = excluded.seq`,
          ...part.flatMap((slot) => [slot, seq]),
        );
      }
    });
  }
}

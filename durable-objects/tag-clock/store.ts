import type { ClockLimits } from '../../src/cache/clock/changed-tags.ts';
import { type Clock, newClock } from '../../src/cache/clock/clock.ts';
import type { Horizon } from '../../src/cache/clock/horizon.ts';
import {
  NEVER_SWITCHED,
  type PhaseRecord,
  parseRecord,
  statesOf,
} from '../../src/operations/phases/record.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/**
 * The root clock's state in the object's own SQLite. An invalidation is one row, whatever the number of its tags, so it
 * costs one row written, and one more when it is forgotten.
 */
export class ClockStore {
  readonly #storage: DurableObjectStorage;
  #record: PhaseRecord = NEVER_SWITCHED;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
  }

  /**
   * Reads the clock; if there is none yet, creates and persists one with a new epoch.
   *
   * @param horizon records the time of each invalidation.
   */
  load(newEpoch: () => string, horizon: Horizon, limits?: ClockLimits): Clock {
    const { sql } = this.#storage;
    const [row] = sql
      .exec<{ epoch: string; floor_seq: number; phases: string | null; phases_seq: number }>(
        'select epoch, floor_seq, phases, phases_seq from clock',
      )
      .toArray();
    if (row === undefined) {
      const epoch = newEpoch();
      sql.exec('insert into clock (id, epoch, floor_seq) values (0, ?, 0)', epoch);
      return newClock(epoch, limits);
    }
    const clock = newClock(row.epoch, limits);
    this.#record = row.phases === null ? NEVER_SWITCHED : parseRecord(row.phases);
    clock.phases = { states: statesOf(this.#record), seq: row.phases_seq };
    clock.seq = row.floor_seq;
    clock.changed.forgetUpTo(row.floor_seq);
    const rows = sql.exec<{ seq: number; at_ms: number; tags: ArrayBuffer }>(
      'select seq, at_ms, tags from invalidations order by seq',
    );
    for (const { seq, at_ms, tags } of rows) {
      clock.seq = seq;
      for (const tag of new Uint32Array(tags)) clock.changed.add(seq, tag);
      horizon.note(seq, at_ms);
    }
    return clock;
  }

  /**
   * Persists one invalidation. The platform holds back the answer until it is on disk.
   *
   * @param also writes in the same transaction.
   */
  save(seq: number, tags: readonly number[], atMs: number, also?: () => void): void {
    const insert = () =>
      this.#storage.sql.exec(
        'insert into invalidations (seq, at_ms, tags) values (?, ?, ?)',
        seq,
        atMs,
        Uint32Array.from(tags).buffer,
      );
    if (also === undefined) {
      insert();
      return;
    }
    this.#storage.transactionSync(() => {
      insert();
      also();
    });
  }

  /** Who switched which phase, when and why. */
  get record(): PhaseRecord {
    return this.#record;
  }

  /** Writes the record of the phases. @param seq the number of the invalidation that comes with it. */
  writeRecord(record: PhaseRecord, seq: number): void {
    this.#storage.sql.exec(
      'update clock set phases = ?, phases_seq = ? where id = 0',
      JSON.stringify(record),
      seq,
    );
  }

  /** Writes a record with the same states, so that no invalidation comes with it. */
  writeAsk(record: PhaseRecord): void {
    this.#storage.sql.exec('update clock set phases = ? where id = 0', JSON.stringify(record));
  }

  /** Takes the record over once its transaction is committed. */
  recorded(record: PhaseRecord): void {
    this.#record = record;
  }

  /** Gives the clock another epoch, and removes all invalidations: they void nothing that the epoch does not. */
  beginEpoch(epoch: string, floorSeq: number): void {
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      sql.exec('update clock set epoch = ?, floor_seq = ? where id = 0', epoch, floorSeq);
      sql.exec('delete from invalidations');
    });
  }

  /** Removes the invalidations up to the floor, in one transaction with the floor itself. */
  forget(floorSeq: number): void {
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      sql.exec('update clock set floor_seq = ? where id = 0', floorSeq);
      sql.exec('delete from invalidations where seq <= ?', floorSeq);
    });
  }
}

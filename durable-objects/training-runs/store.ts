import { isEnded, TrainingRun } from '../../src/training/runs/run.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** The runs of all models. */
export class TrainingRunsStore {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    migrate(storage, MIGRATIONS);
    this.#sql = storage.sql;
  }

  read(id: string): TrainingRun | undefined {
    return this.#runs('where id = ?', id)[0];
  }

  /** The newest first. @param model undefined for those of all models. */
  list(model: string | undefined, limit: number): TrainingRun[] {
    if (model === undefined) return this.#runs('order by begun_ms desc, id limit ?', limit);
    return this.#runs('where model = ? order by begun_ms desc, id limit ?', model, limit);
  }

  /** The run that is taken on next: the oldest that is not over. */
  next(): TrainingRun | undefined {
    return this.#runs('where is_ended = 0 order by begun_ms, id limit 1')[0];
  }

  /** The run of a model that is not over; undefined if there is none. */
  active(model: string): TrainingRun | undefined {
    // Few runs are not over, and many are of the model.
    return this.#runs('indexed by runs_open where is_ended = 0 and model = ? limit 1', model)[0];
  }

  save(run: TrainingRun): void {
    this.#sql.exec(
      `insert into runs (id, model, is_ended, begun_ms, run) values (?, ?, ?, ?, ?)
       on conflict (id) do update set is_ended = excluded.is_ended, run = excluded.run`,
      ...[run.id, run.model, Number(isEnded(run)), run.begunMs, JSON.stringify(run)],
    );
  }

  /** The oldest run that is over, if more than `max` runs are kept. */
  surplus(max: number): TrainingRun | undefined {
    const count = Number(this.#sql.exec('select count(*) as n from runs').one()['n']);
    return count <= max ? undefined : this.#runs('where is_ended = 1 order by begun_ms, id limit 1')[0];
  }

  remove(id: string): void {
    this.#sql.exec('delete from runs where id = ?', id);
  }

  #runs(rest: string, ...bound: (string | number)[]): TrainingRun[] {
    const found = this.#sql.exec(`select run from runs ${rest}`, ...bound);
    return [...found].map(({ run }) => TrainingRun.parse(JSON.parse(String(run))));
  }
}

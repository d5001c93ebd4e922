import { DriftWatchState } from '../../src/training/drift/watch.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** What has been seen of each watched version: one row each, so that a save costs one row. */
export class DriftWatchStore {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    migrate(storage, MIGRATIONS);
    this.#sql = storage.sql;
  }

  /** Undefined if the version was not watched yet, or by a release with another state. */
  load(version: string): DriftWatchState | undefined {
    const [row] = this.#sql.exec<{ state: string }>('select state from watched where version = ?', version);
    return row === undefined ? undefined : DriftWatchState.safeParse(JSON.parse(row.state)).data;
  }

  /** Saves one version. With a new one, those that were seen longest ago are forgotten. */
  save(version: string, state: DriftWatchState, atMs: number, versionsMax: number): void {
    const [known] = this.#sql.exec('select 1 from watched where version = ?', version);
    this.#sql.exec(
      'insert or replace into watched (version, at_ms, state) values (?, ?, ?)',
      ...[version, atMs, JSON.stringify(state)],
    );
    if (known !== undefined) return;
    this.#sql.exec(
      'delete from watched where version not in (select version from watched order by at_ms desc limit ?)',
      versionsMax,
    );
  }

  /** The versions, the one that was seen last first. */
  list(): { readonly version: string; readonly atMs: number }[] {
    const rows = this.#sql.exec('select version, at_ms from watched order by at_ms desc, version');
    return [...rows].map((row) => ({ version: String(row['version']), atMs: Number(row['at_ms']) }));
  }
}

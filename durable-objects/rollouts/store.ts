import * as z from 'zod';
import { EvidenceRecord } from '../../src/inference/rollout/evidence.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** The rollout that is under way, as the registry has it, and what has been seen of it since its newest row. */
const Watched = z.object({
  /** The number of the registry's row. */
  row: z.int(),
  model: z.string(),
  rollout: z.string(),
  version: z.string(),
  base: z.string(),
  record: EvidenceRecord,
});
export type Watched = z.output<typeof Watched>;

/** The one row of the object: a save costs one row, whatever has been seen. */
export class RolloutStore {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    migrate(storage, MIGRATIONS);
    this.#sql = storage.sql;
  }

  load(): Watched | undefined {
    const [row] = this.#sql.exec<{ state: string }>('select state from watched');
    // A state of another release is read from the registry again.
    return row === undefined ? undefined : Watched.safeParse(JSON.parse(row.state)).data;
  }

  save(watched: Watched): void {
    this.#sql.exec('insert or replace into watched (id, state) values (1, ?)', JSON.stringify(watched));
  }

  clear(): void {
    this.#sql.exec('delete from watched');
  }
}

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { BEGIN_ANEW, DamagedState } from './damage.ts';

const FILE = 'state.json';

const Record = z.object({
  version: z.literal(1),
  /** Of the embedded Postgres: `system_identifier`, which no other one has. */
  postgres: z.string().optional(),
  /**
   * `filling` while made-up data is being written; it stays so where that was interrupted. `declined` after `--empty`.
   */
  seed: z.enum(['none', 'declined', 'filling', 'made-up']),
  /** Whether the database had events when it was looked at last. */
  hadEvents: z.boolean(),
  /** The last stack ended, or runs, without having emptied its queues: changes may not be folded. */
  isUndrained: z.boolean().default(false),
});

/** What a state folder knows of the database whose features and answers it holds. */
export type StateRecord = z.output<typeof Record>;

const NEW: StateRecord = { version: 1, seed: 'none', hadEvents: false, isUndrained: false };

/** @throws DamagedState */
export function readStateRecord(stateDir: string): StateRecord {
  const path = join(stateDir, FILE);
  if (!existsSync(path)) return NEW;
  try {
    return Record.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    throw new DamagedState(`${path} is damaged: it is not the JSON that npm run dev writes. ${BEGIN_ANEW}`);
  }
}

export function updateStateRecord(stateDir: string, change: Partial<Omit<StateRecord, 'version'>>): void {
  const path = join(stateDir, FILE);
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify({ ...readStateRecord(stateDir), ...change }, null, 2)}\n`);
  renameSync(draft, path);
}

/** What the database says of itself when it is open. */
export interface FoundDatabase {
  /** Of the embedded one: its `system_identifier`. */
  readonly postgres: string | undefined;
  readonly hasEvents: boolean;
}

/**
 * Compares the database with the one that the folder's features and answers were made from. Of another database, or one
 * that lost its events, they would be wrong, and nothing would invalidate them.
 *
 * @throws DamagedState
 */
export function assertSameDatabase(stateDir: string, record: StateRecord, found: FoundDatabase): void {
  if (record.seed === 'filling')
    throw new DamagedState(
      `A start was interrupted while it filled the database of ${stateDir}/ with made-up data, which is there in part. ${BEGIN_ANEW}`,
    );
  if (record.postgres !== undefined && found.postgres !== undefined && record.postgres !== found.postgres)
    throw new DamagedState(
      `${stateDir}/postgres is not the database that the features and caches of ${stateDir}/ belong to. Put that one back, or: ${BEGIN_ANEW}`,
    );
  if (record.hadEvents && !found.hasEvents)
    throw new DamagedState(
      `The database has no events, and the features and caches of ${stateDir}/ were made from events. Restore the database, or: ${BEGIN_ANEW}`,
    );
}

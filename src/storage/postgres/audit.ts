import { type SQL, sql } from 'drizzle-orm';
import * as millrace from './schema.ts';

/** An action by a key holder. Kept forever; written in the transaction of the action. */
export interface AuditEntry {
  /** `quarantine.release`, `quarantine.discard`, `dead-letter.replay`, `history.replay`, `key.create`. */
  readonly action: string;
  /** The object of the action. */
  readonly target: string;
  readonly detail: unknown;
}

/**
 * Add this statement to the transaction of the action that it records.
 *
 * @param from a relation that has one row if the action takes place; without it, the action always does.
 */
export function auditStatement({ action, target, detail }: AuditEntry, from?: SQL): SQL {
  return sql`insert into ${millrace.auditLog} (action, target, detail)
    select ${action}, ${target}, ${JSON.stringify(detail)}::jsonb ${from === undefined ? sql`` : sql`from ${from}`}`;
}

import { type SQL, sql } from 'drizzle-orm';
import * as millrace from './schema.ts';

/** An action by a key holder on data that others sent. Kept forever; written in the transaction of the action. */
export interface AuditEntry {
  /** `quarantine.release`, `quarantine.discard`, `dead-letter.replay`. */
  readonly action: string;
  /** The object of the action. */
  readonly target: string;
  readonly detail: unknown;
}

/** Add this statement to the transaction of the action that it records. */
export function auditStatement({ action, target, detail }: AuditEntry): SQL {
  return sql`insert into ${millrace.auditLog} (action, target, detail)
    values (${action}, ${target}, ${JSON.stringify(detail)}::jsonb)`;
}

import { type SQL, sql } from 'drizzle-orm';
import * as millrace from './schema.ts';

/** What somebody with the key did to data that others had sent: kept for ever, written with the deed itself. */
export interface AuditEntry {
  /** `quarantine.release`, `quarantine.discard`, `dead-letter.replay`. */
  readonly action: string;
  /** What it was done to. */
  readonly target: string;
  readonly detail: unknown;
}

/** To be put into the transaction of what it tells of. */
export function auditStatement({ action, target, detail }: AuditEntry): SQL {
  return sql`insert into ${millrace.auditLog} (action, target, detail)
    values (${action}, ${target}, ${JSON.stringify(detail)}::jsonb)`;
}

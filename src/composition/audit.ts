import type { ActionPorts } from '../gateway/audit/ports.ts';
import type { AuditPorts } from '../gateway/routes/admin-audit.ts';
import { systemTime } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { beginAction, endAction, listAudit, openActions, readAuditChain } from '../storage/postgres/audit.ts';
import { guarded } from '../storage/postgres/connect.ts';
import type { BoundIsolate } from './isolate.ts';

/**
 * How long an action waits for its entry, in milliseconds. Entries are written one after the other, and each holds the
 * others up until its transaction has ended.
 */
const ENTRY_MS_MAX = 3_000;

/** The ports of the audit log, for the actions and for its readers. */
export function auditPorts({ db }: BoundIsolate): ActionPorts & AuditPorts {
  return {
    begin: (entry) => soon(() => beginAction(db, entry)),
    end: (...ended) => soon(() => endAction(db, ...ended)),
    open: (...sought) => soon(() => openActions(db, ...sought)),
    list: (filter) => guarded(() => listAudit(db, filter)),
    chain: (page) => guarded(() => readAuditChain(db, page)),
  };
}

async function soon<T>(write: () => Promise<T>): Promise<T> {
  return await systemTime.withTimeout(
    guarded(write),
    ENTRY_MS_MAX,
    () =>
      new Failure(
        'database_unavailable',
        'The database does not answer, so the action could not be recorded. Try again shortly.',
        { retryAfterS: 5 },
      ),
  );
}

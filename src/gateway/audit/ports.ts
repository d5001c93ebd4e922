import type { AuditEntry } from '../../storage/postgres/audit.ts';

export interface ActionPorts {
  /** Commits the entry of an action that is about to happen. @throws Failure `database_unavailable` */
  readonly begin: (entry: AuditEntry & { readonly before: unknown }) => Promise<number>;
  readonly end: (begun: number, outcome: 'done' | 'failed', after: unknown) => Promise<void>;
}

/** What an action is about to do. */
export interface Action {
  readonly action: string;
  readonly target: string;
  readonly detail?: unknown;
  /** Reads what the action will change. */
  readonly before?: () => Promise<unknown>;
}

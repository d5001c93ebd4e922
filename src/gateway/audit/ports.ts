import type { AuditEntry } from '../../storage/postgres/audit.ts';

export interface ActionPorts {
  /** Commits the entry of an action that is about to happen. @throws Failure `database_unavailable` */
  readonly begin: (entry: AuditEntry & { readonly before: unknown }) => Promise<number>;
  readonly end: (begun: number, outcome: 'done' | 'failed', after: unknown) => Promise<void>;
  /** The entries that began this action and that no entry ends yet, the newest first. @throws Failure `database_unavailable` */
  readonly open: (action: string, target: string) => Promise<BegunAction[]>;
}

/** An action that has begun and not ended. */
export interface BegunAction {
  readonly id: number;
  readonly principal: string;
}

/** What an action is about to do. */
export interface Action {
  readonly action: string;
  readonly target: string;
  readonly detail?: unknown;
  /** Reads what the action will change. */
  readonly before?: () => Promise<unknown>;
}

/** A request of an action of many requests. */
export interface SteppedAction extends Action {
  readonly isRestart: boolean;
  readonly isOver: boolean;
}

/** What one request of an action of many requests did. */
export interface Step<Result> {
  readonly result: Result;
  readonly after: unknown;
  /** Whether the action has ended with this request. */
  readonly isEnd: boolean;
}

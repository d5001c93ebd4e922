/** One SQL statement with its parameters in Postgres's text format; null is SQL's NULL. */
export interface Statement {
  readonly text: string;
  readonly params: readonly (string | null)[];
}

/** What one statement gave, with every value in Postgres's text format. */
export interface TextResult {
  /** The first word of the command tag: SELECT, INSERT, CREATE; empty for an empty statement. */
  readonly command: string;
  /** The count in the command tag; null for a command without one. */
  readonly rowCount: number | null;
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Which migrations a run applied, as `millrace/<name>` or `catalog/<name>`, and how many there are. */
export interface MigrationRun {
  /** Millrace's tables were moved out of the schema `public`, as an earlier Millrace had them. */
  readonly isUpgraded: boolean;
  readonly applied: readonly string[];
  readonly known: number;
}

/**
 * A Postgres behind the endpoint. Statements go through the extended protocol, so that one text is one
 * statement on either backend. Errors of the database are thrown as the client library gives them.
 */
export interface SqlBackend {
  /** Runs one statement on its own. `check` sees the result and may throw. */
  query(statement: Statement, check: (result: TextResult) => void): Promise<TextResult>;
  /**
   * Runs the statements as one transaction: the first error, also one thrown by `check`, rolls all of them back.
   * `modes` is the list for SET TRANSACTION, or empty.
   */
  batch(
    statements: readonly Statement[],
    modes: string,
    check: (result: TextResult) => void,
  ): Promise<TextResult[]>;
  close(): Promise<void>;
}

/** Commands that leave something behind in the session: an open transaction, a setting, a named object. */
const SESSION_COMMANDS: ReadonlySet<string> = new Set([
  'BEGIN',
  'START',
  'SET',
  'PREPARE',
  'DECLARE',
  'LISTEN',
]);

/**
 * Whether the session must be reset before another request may have it. Over HTTP a request has no session of
 * its own: without the reset, a lone BEGIN would put the next request's writes into a transaction that never commits.
 */
export function leavesSessionState(results: readonly TextResult[]): boolean {
  return results.some((result) => SESSION_COMMANDS.has(result.command));
}

/** Two commands, sent one by one: DISCARD ALL refuses to run inside a transaction. */
export const SESSION_RESET = ['ROLLBACK', 'DISCARD ALL'] as const;

/** The codes by which scripts tell why a backup or a restore did not happen. docs/continuity.md has a line for each. */
export type ContinuityCode =
  | 'backup_damaged'
  | 'backup_incomplete'
  | 'backup_foreign'
  | 'backup_newer'
  | 'backup_older'
  | 'backup_under_way'
  | 'restore_under_way'
  | 'not_empty'
  | 'not_restorable'
  | 'digests_differ';

/** A backup or a restore was refused, or did not pass its check. The message begins with the code. */
export class ContinuityError extends Error {
  readonly code: ContinuityCode;

  constructor(code: ContinuityCode, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

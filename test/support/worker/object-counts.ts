/** What objects of one class have done, as `counted-objects.ts` counts it. */
export interface ObjectCounts {
  /** How often each counted method was called; an alarm is the method `alarm`. */
  readonly calls: Record<string, number>;
  /** Calls of bindings, for example `MODELS.put`; `sql` are statements of the database. */
  readonly bindings: Record<string, number>;
  /** Rows of its SQL, by the runtime's counters, and a written row for each alarm that is set or deleted. */
  rowsRead: number;
  rowsWritten: number;
}

/** When an event happened, and when it is validated. */
export interface EventContext {
  /** When it happened, milliseconds since the Unix epoch. */
  readonly occurredAt: number;
  /** When it is validated, milliseconds since the Unix epoch. */
  readonly now: number;
}

/** When an event happened, and when it is judged. */
export interface EventContext {
  /** When it happened, milliseconds since the Unix epoch. */
  readonly occurredAt: number;
  /** When it is judged, milliseconds since the Unix epoch. */
  readonly now: number;
}

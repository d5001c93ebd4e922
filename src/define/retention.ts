/**
 * How long data are kept, in whole days; what is not named is kept for ever. Events of a type that features are
 * made of had better be kept: once some are gone, features cannot be rebuilt, and one that is sent again counts anew.
 */
export interface RetentionPolicy {
  /** By event type, with its version. */
  readonly events: Readonly<Record<string, number>>;
  /** What was relayed. What waits to be relayed is never deleted. */
  readonly outbox?: number;
  /** What was released or discarded in quarantine, dead letters too, counted from when it came. */
  readonly quarantineClosed?: number;
  /** What nobody has seen to, dead letters too. */
  readonly quarantineOpen?: number;
}

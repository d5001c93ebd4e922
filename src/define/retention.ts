/**
 * How long data are kept, in whole days. A missing entry keeps the data for ever. Keep the events of a type that
 * features are computed from: once some are deleted, the features cannot be rebuilt, and a deleted event that is sent
 * again is counted again.
 */
export interface RetentionPolicy {
  /** By event type, with its version. */
  readonly events: Readonly<Record<string, number>>;
  /** For relayed rows. Pending rows are never deleted. */
  readonly outbox?: number;
  /**
   * For released or discarded entries of the quarantine, including dead letters, counted from when they were received.
   */
  readonly quarantineClosed?: number;
  /** For open entries of the quarantine, including dead letters. */
  readonly quarantineOpen?: number;
  /** For the log of served predictions; 90 days if it is not given, since the log names keys of entities. */
  readonly served?: number;
  /**
   * For the changes of rows that features over columns are folded from. One that a newer change covers is deleted; the last
   * change of each row is kept, so the features stay as they are. Features as of an earlier moment are not known any more.
   */
  readonly rowChanges?: number;
  /**
   * For datasets that are ready or have failed, counted from their end or their last use. One is kept for as long as a
   * version of a model that has its bytes names it, or a training run may go on with it.
   */
  readonly datasets?: number;
  /** For what is kept in R2 of a training run that has ended without a version. A run that is resumed then begins anew. */
  readonly training?: number;
  /**
   * For the bytes of versions of models that were withdrawn, and for uploads that no version names. A version that has
   * answered is kept for as long as the log of served predictions, too. The registry keeps what it knows of each version.
   */
  readonly models?: number;
}

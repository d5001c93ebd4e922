/** What a write of our own goes through; see `announcedWrite`. */
export interface AnnouncedWritePorts<Written, Token> {
  /** Makes sure that the outbox is looked after soon, whatever becomes of this request. */
  readonly arm: () => Promise<unknown>;
  /** Commits the change together with its outbox row. */
  readonly commit: () => Promise<Written>;
  /** Returns once the root clock has the invalidation on disk. */
  readonly invalidate: (written: Written) => Promise<Token>;
  /** Publishes the change and marks it, which spares the relay the work; it may fail. */
  readonly markRelayed: (written: Written, token: Token) => Promise<void>;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * Commits, then invalidates, then answers: in this order alone. Invalidated before the commit, a cache would be
 * filled with the old value once more; answered before the invalidation, the writer could read the old value.
 * Where it ends in between, the writer has no answer, and the outbox finishes the job.
 */
export async function announcedWrite<Written, Token>(
  ports: AnnouncedWritePorts<Written, Token>,
): Promise<{ written: Written; token: Token }> {
  await ports.arm();
  const written = await ports.commit();
  const token = await ports.invalidate(written);
  ports.keepAlive(ports.markRelayed(written, token).catch(() => undefined));
  return { written, token };
}

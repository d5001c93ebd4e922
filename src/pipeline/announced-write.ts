/** The steps of a write through the API; see `announcedWrite`. */
export interface AnnouncedWritePorts<Written, Token> {
  /** Makes the relay sweep the outbox soon, even if this request dies. It may fail or hang. */
  readonly arm: () => Promise<unknown>;
  /** Commits the change together with its outbox row. */
  readonly commit: () => Promise<Written>;
  /** Returns once the root clock has the invalidation on disk. */
  readonly invalidate: (written: Written) => Promise<Token>;
  /** Publishes the change and marks it as relayed, which saves the relay the work. It may fail or hang. */
  readonly markRelayed: (written: Written, token: Token) => Promise<void>;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * Commits, then invalidates, then answers. No other order works: an invalidation before the commit lets a cache fill
 * with the old value again, and an answer before the invalidation lets the writer read the old value. If the request
 * dies in between, the writer gets no answer and the relay invalidates the change from the outbox: by the alarm that the
 * request has armed; if the alarm was not armed, by the heartbeats of readers and the cron, as for a commit of another
 * application. So the commit does not wait for the alarm.
 */
export async function announcedWrite<Written, Token>(
  ports: AnnouncedWritePorts<Written, Token>,
): Promise<{ written: Written; token: Token }> {
  ports.keepAlive(ports.arm().catch(() => undefined));
  const written = await ports.commit();
  const token = await ports.invalidate(written);
  ports.keepAlive(ports.markRelayed(written, token).catch(() => undefined));
  return { written, token };
}

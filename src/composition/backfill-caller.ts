import type { FeatureRow } from '../define/feature-value.ts';
import { systemNow } from '../platform/clock.ts';
import type { Env } from './env.ts';
import { type DatabasePlace, outboxRelay } from './objects.ts';

/** How often an isolate asks for a backfill, at most, in milliseconds. */
const ASK_EVERY_MS = 10_000;

/** Asks for a backfill when a read finds a feature that is not ready, so that no reader waits for the cron. */
export class BackfillCaller {
  #notBefore = 0;

  /** Notices what a reader got. The call is made in the background, and its failure changes nothing for the reader. */
  notice(
    rows: readonly FeatureRow[],
    env: Pick<Env, 'OUTBOX_RELAY'> & DatabasePlace,
    keepAlive: (work: Promise<unknown>) => void,
  ): void {
    const isWaiting = rows.some((row) => Object.values(row).some(({ status }) => status === 'NOT_READY'));
    const now = systemNow();
    if (!isWaiting || now < this.#notBefore) return;
    this.#notBefore = now + ASK_EVERY_MS;
    keepAlive(
      outboxRelay(env)
        .backfill()
        .catch(() => undefined),
    );
  }
}

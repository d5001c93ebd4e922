import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { ScoreBatch, type Tallies } from '../../src/pipeline/quality/tally.ts';
import type { QualityCounts } from '../../src/pipeline/quality/windows.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { QualityStore } from './store.ts';

const MINUTE_MS = 60_000;
/** How often old rows are removed: at most ten minutes of buckets more than needed are kept. */
const PRUNE_EVERY_MS = 10 * MINUTE_MS;

const Ids = z.array(z.uuid()).max(1_000);

/**
 * Collects the verdicts of the quality rules on stored and refused events. One object, named `main`. Its load is the
 * number of storing transactions: a few a second from the consumers, and one for each request that waits for its events.
 */
export class QualityWindow extends DurableObject {
  readonly #store: QualityStore;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new QualityStore(ctx.storage);
  }

  /** Adds one transaction's counts. Idempotent: an id that was added before changes nothing. */
  async add(batch: ScoreBatch): Promise<void> {
    this.#store.add(ScoreBatch.parse(batch), minuteNow());
    if ((await this.ctx.storage.getAlarm()) === null)
      await this.ctx.storage.setAlarm(systemNow() + PRUNE_EVERY_MS);
  }

  /** The ids of those transactions that were never counted. */
  async uncounted(ids: readonly string[]): Promise<string[]> {
    return this.#store.uncounted(Ids.parse(ids));
  }

  async counts(): Promise<QualityCounts> {
    return this.#store.counts(minuteNow());
  }

  /** The counts of all time. */
  async totals(): Promise<Tallies> {
    return this.#store.totals(minuteNow());
  }

  override async alarm(): Promise<void> {
    if (this.#store.prune(minuteNow())) await this.ctx.storage.setAlarm(systemNow() + PRUNE_EVERY_MS);
  }
}

function minuteNow(): number {
  return Math.floor(systemNow() / MINUTE_MS);
}

import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { ScoreBatch } from '../../src/pipeline/quality/tally.ts';
import type { QualityCounts } from '../../src/pipeline/quality/windows.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { QualityStore } from './store.ts';

const MINUTE_MS = 60_000;
/** How often old rows are removed: ten minutes of buckets more than are needed. */
const PRUNE_EVERY_MS = 10 * MINUTE_MS;

const Ids = z.array(z.uuid()).max(1_000);

/**
 * Gathers what stored and refused events said to the quality rules. One object, named `main`. Its load is the number
 * of storing transactions: the consumers make a few in a second, and a request that waits for its events one each.
 */
export class QualityWindow extends DurableObject {
  readonly #store: QualityStore;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new QualityStore(ctx.storage);
  }

  /** Counts one transaction's events. Safe to repeat: an id that was counted before changes nothing. */
  async add(batch: ScoreBatch): Promise<void> {
    this.#store.add(ScoreBatch.parse(batch), minuteNow());
    if ((await this.ctx.storage.getAlarm()) === null)
      await this.ctx.storage.setAlarm(systemNow() + PRUNE_EVERY_MS);
  }

  /** Which of these transactions were never counted. */
  async uncounted(ids: readonly string[]): Promise<string[]> {
    return this.#store.uncounted(Ids.parse(ids));
  }

  async counts(): Promise<QualityCounts> {
    return this.#store.counts(minuteNow());
  }

  override async alarm(): Promise<void> {
    if (this.#store.prune(minuteNow())) await this.ctx.storage.setAlarm(systemNow() + PRUNE_EVERY_MS);
  }
}

function minuteNow(): number {
  return Math.floor(systemNow() / MINUTE_MS);
}

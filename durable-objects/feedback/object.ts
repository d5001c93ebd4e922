import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import type { FeedbackJoin } from '../../src/inference/feedback/join.ts';
import type { FeedbackCounts } from '../../src/inference/feedback/report.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { log } from '../../src/platform/logger.ts';
import { FeedbackStore } from './store.ts';

/** Steps of one alarm: a step makes some ten calls of R2 and two of Postgres, and an invocation may make a thousand. */
const STEPS_MAX = 20;
const RETRY_MS = 5_000;
/** How long counts are kept, in days. */
const KEEP_DAYS = 400;
const DAY_MS = 86_400_000;

const Model = z.string().min(1).max(64);
const Day = z.iso.date();

export interface FeedbackPorts {
  /** Called with the first step. */
  readonly join: () => Pick<FeedbackJoin, 'step'>;
}

/**
 * Joins the log of served predictions with later events. One object, named `main`. A step reads some files of the log, a page
 * of label events, and ends the trials that are due; it is on disk when it ends.
 */
export class Feedback extends DurableObject {
  readonly #store: FeedbackStore;
  readonly #ports: FeedbackPorts;
  #prunedDay = '';

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: FeedbackPorts) {
    super(ctx, env);
    this.#store = new FeedbackStore(ctx.storage);
    this.#ports = ports;
  }

  /** Begins to work if it does not yet. The cron calls it each minute. */
  async wake(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(systemNow());
  }

  /** What the answers of a model since a day, UTC, have come to. */
  async counts(model: string, day: string): Promise<FeedbackCounts> {
    return this.#store.counts(Model.parse(model), Day.parse(day));
  }

  /** How many trials of an entity wait for their labels, by its key. */
  async trialsOf(models: readonly string[], key: string): Promise<number> {
    return this.#store.trialsOf(z.array(Model).parse(models), key);
  }

  /** Forgets the trials of an entity by its key. @returns how many rows that took. */
  async forget(models: readonly string[], key: string): Promise<number> {
    return this.#store.forget(z.array(Model).parse(models), key);
  }

  override async alarm(): Promise<void> {
    try {
      const day = new Date(systemNow() - KEEP_DAYS * DAY_MS).toISOString().slice(0, 10);
      if (day !== this.#prunedDay) this.#store.prune(day);
      this.#prunedDay = day;
      const join = this.#ports.join();
      for (let steps = 0; steps < STEPS_MAX; steps += 1) if (!(await join.step(this.#store))) return;
      await this.ctx.storage.setAlarm(systemNow());
    } catch (error) {
      const message = 'Served predictions could not be joined with their labels; the alarm retries.';
      log('warn', message, { 'event.action': 'feedback' }, error);
      await this.ctx.storage.setAlarm(systemNow() + RETRY_MS);
    }
  }
}

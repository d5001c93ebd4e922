import { DurableObject } from 'cloudflare:workers';
import { type SeriesAnswer, SeriesQuestion } from '../../src/operations/series.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { CounterBatch, type CounterReport, type CounterSample } from '../../src/platform/counters.ts';
import { PacedSave, SAVE_EVERY_MS } from '../paced-save.ts';
import { CounterStore } from './store.ts';

const MINUTE_MS = 60_000;

/**
 * Collects the counters of all isolates. One object, named `main`. Its load is the number of busy isolates divided by
 * the five seconds between two flushes of one: 1,000 isolates make 200 calls a second. A call changes memory only, and
 * is saved with the others of `SAVE_EVERY_MS`: three rows, whatever the number of isolates and series. An object handles about 1,000 such calls a second: beyond 5,000 isolates,
 * name one object per region and add up their reports.
 */
export class CacheStats extends DurableObject {
  readonly #store: CounterStore;
  readonly #saves = new PacedSave(SAVE_EVERY_MS, () => this.#store.save());

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new CounterStore(ctx.storage);
  }

  /** Adds one isolate's batch. Idempotent: a batch number that was added before changes nothing. */
  async flush(batch: CounterBatch): Promise<void> {
    this.#store.add(CounterBatch.parse(batch), minuteNow());
    if (!this.#store.isSaved) this.#saves.soon();
  }

  /** All counts since the first one. */
  async totals(): Promise<CounterSample[]> {
    return this.#store.totals();
  }

  /** Counts over time. Reads one row for each block of the range: at most 400. */
  async series(question: SeriesQuestion): Promise<SeriesAnswer> {
    return this.#store.over(SeriesQuestion.parse(question), minuteNow());
  }

  async report(): Promise<CounterReport> {
    const minute = minuteNow();
    const within = (minutes: number) => this.#store.within(minutes, minute);
    return {
      totals: this.#store.totals(),
      windows: { 1: within(1), 5: within(5), 60: within(60) },
      isolates: this.#store.isolates(minute),
      exemplars: this.#store.exemplars,
      failures: this.#store.failures,
    };
  }
}

function minuteNow(): number {
  return Math.floor(systemNow() / MINUTE_MS);
}

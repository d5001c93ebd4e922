import { DurableObject } from 'cloudflare:workers';
import { systemNow } from '../../src/platform/clock.ts';
import { CounterBatch, type CounterReport } from '../../src/platform/counters.ts';
import { CounterStore } from './store.ts';

const MINUTE_MS = 60_000;

/**
 * Gathers what all isolates count. One object, named `main`: each isolate calls it every five seconds, so it is
 * good for some thousand isolates; beyond, name several by region and add up what they report.
 */
export class CacheStats extends DurableObject {
  readonly #store: CounterStore;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new CounterStore(ctx.storage);
  }

  /** Takes one isolate's batch. Safe to repeat: a number that was taken before changes nothing. */
  async flush(batch: CounterBatch): Promise<void> {
    const { isolate, n, counters } = CounterBatch.parse(batch);
    this.#store.add(isolate, n, counters, minuteNow());
  }

  async report(): Promise<CounterReport> {
    const minute = minuteNow();
    const within = (minutes: number) => this.#store.within(minutes, minute);
    return { totals: this.#store.totals(), windows: { 1: within(1), 5: within(5), 60: within(60) } };
  }
}

function minuteNow(): number {
  return Math.floor(systemNow() / MINUTE_MS);
}

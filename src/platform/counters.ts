import * as z from 'zod';
import { log } from './logger.ts';

/** One series of a counter, and by how much it grew or what it has come to. */
export const CounterSample = z.object({
  /** As Prometheus names it: ends in `_total`. */
  name: z.string().regex(/^[a-z][a-z0-9_]{0,98}_total$/),
  labels: z.record(z.string().regex(/^[a-z_]{1,32}$/), z.string().max(128)),
  value: z.int().nonnegative(),
});
export type CounterSample = z.output<typeof CounterSample>;

/** Series of one isolate's batch: views times outcomes, with room for more. */
const BATCH_SERIES_MAX = 1_000;
/** What was counted and could not be kept, because there were too many series. */
export const DROPPED = 'millrace_counters_dropped_total';

/** What an isolate has counted since the batch before; `n` tells a batch that is sent again from a new one. */
export const CounterBatch = z.object({
  isolate: z.string().min(1).max(64),
  n: z.int().positive(),
  counters: z.array(CounterSample).max(BATCH_SERIES_MAX),
  /** What the isolate's memory tier holds at the time. */
  memoryBytes: z.int().nonnegative().optional(),
});
export type CounterBatch = z.output<typeof CounterBatch>;

/** The windows over which rates and ratios are told, in whole minutes; each has the minute that has begun on top. */
export const WINDOWS_MINUTES = [1, 5, 60] as const;
export type WindowMinutes = (typeof WINDOWS_MINUTES)[number];

/** The isolates that have reported lately. */
export interface IsolateReport {
  readonly active: number;
  /** What their memory tiers hold, together. */
  readonly memoryBytes: number;
}

/** Everything that was counted: since ever, and in each window up to now. */
export interface CounterReport {
  readonly totals: readonly CounterSample[];
  readonly windows: Readonly<Record<WindowMinutes, readonly CounterSample[]>>;
  readonly isolates: IsolateReport;
}

/** Counters of one isolate. Series are made as they are counted. */
export class Counters {
  readonly #series = new Map<string, { -readonly [Field in keyof CounterSample]: CounterSample[Field] }>();
  #dropped = 0;

  /** The series' own key is built for each call: what is counted on a hot path keeps its own numbers. */
  add(name: string, labels: Readonly<Record<string, string>>, by = 1): void {
    const key = JSON.stringify([name, labels]);
    const known = this.#series.get(key);
    if (known !== undefined) known.value += by;
    // One place is left for the count of what was dropped.
    else if (this.#series.size < BATCH_SERIES_MAX - 1) this.#series.set(key, { name, labels, value: by });
    else this.#dropped += by;
  }

  /** What was counted since the last call. */
  drain(): CounterSample[] {
    const drained: CounterSample[] = [...this.#series.values()];
    if (this.#dropped > 0) drained.push({ name: DROPPED, labels: {}, value: this.#dropped });
    this.#series.clear();
    this.#dropped = 0;
    return drained;
  }
}

/** How long an isolate gathers before it tells, in milliseconds: 1,000 isolates make 200 calls a second then. */
export const FLUSH_EVERY_MS = 5_000;
/** A flush that has not come back after this long has died with its request, in milliseconds. */
const FLUSH_LEASE_MS = 10_000;

/**
 * Hands an isolate's counters over, in batches. One whose answer was lost is sent again under its number, so it
 * is counted once; what an isolate counted and never handed over dies with it.
 */
export class CounterFlush {
  /** When the next flush is due, milliseconds since the Unix epoch. A field, because every answer compares it. */
  dueAtMs = Number.NEGATIVE_INFINITY;
  readonly #newIsolateId: () => string;
  #isolate: string | undefined;
  #n = 0;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #unsent: CounterBatch | undefined;

  constructor(newIsolateId: () => string) {
    this.#newIsolateId = newIsolateId;
  }

  /** Sends what `drain` gives, or again what could not be sent. Never rejects. */
  async flush(
    nowMs: number,
    drain: () => Omit<CounterBatch, 'isolate' | 'n'>,
    send: (batch: CounterBatch) => Promise<void>,
  ): Promise<void> {
    this.#triedAtMs = nowMs;
    this.dueAtMs = nowMs + FLUSH_LEASE_MS;
    const batch = this.#unsent ?? this.#nextBatch(drain());
    this.#unsent = batch;
    try {
      if (batch !== undefined) await send(batch);
      if (this.#unsent === batch) this.#unsent = undefined;
    } catch (error) {
      // It is sent again with the next flush.
      log('warn', 'Counts could not be handed over.', { 'event.action': 'counter-flush' }, error);
    } finally {
      if (this.#triedAtMs === nowMs) this.dueAtMs = nowMs + FLUSH_EVERY_MS;
    }
  }

  #nextBatch(counted: Omit<CounterBatch, 'isolate' | 'n'>): CounterBatch | undefined {
    if (counted.counters.length === 0) return undefined;
    this.#isolate ??= this.#newIsolateId();
    this.#n += 1;
    return { isolate: this.#isolate, n: this.#n, ...counted };
  }
}

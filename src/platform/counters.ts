import * as z from 'zod';
import { log } from './logger.ts';

/** One series of a counter, with an increment or a total. */
export const CounterSample = z.object({
  /** A Prometheus name, which ends in `_total`. */
  name: z.string().regex(/^[a-z][a-z0-9_]{0,98}_total$/),
  labels: z.record(z.string().regex(/^[a-z_]{1,32}$/), z.string().max(128)),
  value: z.int().nonnegative(),
});
export type CounterSample = z.output<typeof CounterSample>;

/** A recorded trace of a series: what an exemplar of OpenMetrics names. */
export const ExemplarSample = z.object({
  ...{ name: CounterSample.shape.name, labels: CounterSample.shape.labels },
  traceId: z.string().regex(/^[\da-f]{32}$/),
  spanId: z.string().regex(/^[\da-f]{16}$/),
  /** In the unit of the metric: seconds. */
  value: z.number().nonnegative(),
  /** Milliseconds since the Unix epoch. */
  atMs: z.number(),
});
export type ExemplarSample = z.output<typeof ExemplarSample>;

/** The most exemplars of one isolate's batch: some 20 KB. Of the traces beyond it, metrics name none. */
export const BATCH_EXEMPLARS_MAX = 100;

/** The most series of one isolate's batch: views times outcomes, with a margin. */
const BATCH_SERIES_MAX = 1_000;
/** Counts that were dropped because there were too many series. */
export const DROPPED = 'millrace_counters_dropped_total';

/** The most characters of the message of a failure. */
export const FAILURE_CHARACTERS_MAX = 240;

/** The newest failure of a service that an isolate has seen. */
export const PeerFailure = z.object({
  peer: z.string().min(1).max(64),
  /** Type, code and plain words (`redaction.ts`). */
  message: z.string().max(FAILURE_CHARACTERS_MAX),
  atMs: z.number(),
});
export type PeerFailure = z.output<typeof PeerFailure>;

/** The most failures of a batch: one of each service. */
const BATCH_FAILURES_MAX = 64;

/** An isolate's counts since its last batch. `n` identifies a batch, so that a retry is not counted twice. */
export const CounterBatch = z.object({
  isolate: z.string().min(1).max(64),
  n: z.int().positive(),
  counters: z.array(CounterSample).max(BATCH_SERIES_MAX),
  /** Size of the isolate's memory tier, in bytes. */
  memoryBytes: z.int().nonnegative().optional(),
  exemplars: z.array(ExemplarSample).max(BATCH_EXEMPLARS_MAX).optional(),
  failures: z.array(PeerFailure).max(BATCH_FAILURES_MAX).optional(),
});
export type CounterBatch = z.output<typeof CounterBatch>;

/** The windows of rates and ratios, in whole minutes. Each includes the current minute as well. */
export const WINDOWS_MINUTES = [1, 5, 60] as const;
export type WindowMinutes = (typeof WINDOWS_MINUTES)[number];

/** The isolates that reported recently. */
export interface IsolateReport {
  readonly active: number;
  /** Size of all their memory tiers, in bytes. */
  readonly memoryBytes: number;
}

/** All counts: in total, and in each window up to now. */
export interface CounterReport {
  readonly totals: readonly CounterSample[];
  readonly windows: Readonly<Record<WindowMinutes, readonly CounterSample[]>>;
  readonly isolates: IsolateReport;
  /** The newest exemplar of each series that has one. */
  readonly exemplars?: readonly ExemplarSample[];
  /** The newest failure of each service, in memory only. */
  readonly failures?: readonly PeerFailure[];
}

/** Counters of one isolate. The first count of a series creates it. */
export class Counters {
  readonly #series = new Map<string, { -readonly [Field in keyof CounterSample]: CounterSample[Field] }>();
  #dropped = 0;

  /** Builds the series' key on each call, so code on a hot path keeps its own numbers instead. */
  add(name: string, labels: Readonly<Record<string, string>>, by = 1): void {
    const key = JSON.stringify([name, labels]);
    const known = this.#series.get(key);
    if (known !== undefined) known.value += by;
    // One place is reserved for `DROPPED`.
    else if (this.#series.size < BATCH_SERIES_MAX - 1) this.#series.set(key, { name, labels, value: by });
    else this.#dropped += by;
  }

  /** Returns the counts since the last call, and resets them. */
  drain(): CounterSample[] {
    const drained: CounterSample[] = [...this.#series.values()];
    if (this.#dropped > 0) drained.push({ name: DROPPED, labels: {}, value: this.#dropped });
    this.#series.clear();
    this.#dropped = 0;
    return drained;
  }
}

/**
 * How long an isolate collects counts before it sends them, in milliseconds: 1,000 isolates then make 200 calls a second.
 * Each is a request to an object, which the platform charges for, and writes no row.
 */
export const FLUSH_EVERY_MS = 5_000;
/** A flush that runs longer than this, in milliseconds, counts as cancelled with its request. */
const FLUSH_LEASE_MS = 10_000;

/**
 * Sends an isolate's counters in batches. A batch whose answer was lost is sent again under the same number, so it is
 * counted once. Counts that are not sent before the isolate ends are lost.
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

  /** Sends the next batch, or retries the one that failed. Never rejects. */
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
      // The next flush retries this batch.
      log(
        'warn',
        'Counters could not be sent; the next flush retries them.',
        { 'event.action': 'counter-flush' },
        error,
      );
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

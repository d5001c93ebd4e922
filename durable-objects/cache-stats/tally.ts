import type {
  CounterBatch,
  CounterSample,
  ExemplarSample,
  IsolateReport,
  PeerFailure,
} from '../../src/platform/counters.ts';
import { DROPPED } from '../../src/platform/counters.ts';

/** Minutes that are kept separately: the longest window and the current minute. */
export const MINUTES_KEPT = 61;
/** An isolate that has been silent for this long is forgotten, in minutes. */
const ISOLATE_KEPT_MINUTES = 120;
/** The most isolates that are remembered, most recent first: twice as many as one object can serve. */
const ISOLATES_MAX = 10_000;
/** An isolate that has been silent for longer than this does not count as active, in minutes. */
const ISOLATE_ACTIVE_MINUTES = 5;
/**
 * The most series. Millrace's own routes and services make at most some 5,100, whatever is requested: each route with all of
 * its statuses and all buckets of durations. Views times outcomes and buckets are a few hundred. Counts of further series are added to
 * `DROPPED` only.
 */
export const SERIES_MAX = 9_000;

/** The most series of which an exemplar is remembered, newest first. They are not saved: a trace is looked up soon or never. */
const EXEMPLARS_MAX = 1_000;

/** The most services of which a failure is remembered. */
const FAILURES_MAX = 64;

/** Values by the number of their series. */
export type Counts = Map<number, number>;

/** What is known of an isolate: the number of its newest batch, the minute of it, and the size of its memory tier. */
export interface KnownIsolate {
  readonly n: number;
  readonly minute: number;
  readonly memoryBytes: number;
}

/** All that the object counts, in memory: totals that only grow, and the counts of each of the last minutes. */
export class CounterTally {
  /** The number of each series, by its text. */
  readonly series = new Map<string, number>();
  readonly totals: Counts = new Map();
  readonly minutes = new Map<number, Counts>();
  /** Least recent first. */
  readonly isolates = new Map<string, KnownIsolate>();
  /** The newest exemplar of each series, by its text; oldest first. */
  readonly #exemplars = new Map<string, ExemplarSample>();
  /** The newest failure of each service. */
  readonly #failures = new Map<string, PeerFailure>();
  #prunedMinute = Number.NEGATIVE_INFINITY;

  get exemplars(): ExemplarSample[] {
    return [...this.#exemplars.values()];
  }

  get failures(): PeerFailure[] {
    return [...this.#failures.values()];
  }

  /** Adds a batch. Returns false, and changes nothing, if it was added before. */
  add(
    { isolate, n, counters, memoryBytes = 0, exemplars = [], failures = [] }: CounterBatch,
    minute: number,
  ): boolean {
    const known = this.isolates.get(isolate);
    if (known !== undefined && known.n >= n) return false;
    this.isolates.delete(isolate);
    this.isolates.set(isolate, { n, minute, memoryBytes });
    let dropped = 0;
    for (const sample of counters) {
      const number = this.#numberOf(seriesText(sample), SERIES_MAX);
      if (number === undefined) dropped += sample.value;
      else this.#raise(number, sample.value, minute);
    }
    // `DROPPED` is outside the limit, so that dropped counts always have a series.
    const number = dropped > 0 ? this.#numberOf(JSON.stringify([DROPPED, {}]), SERIES_MAX + 1) : undefined;
    if (number !== undefined) this.#raise(number, dropped, minute);
    for (const exemplar of exemplars) this.#note(exemplar);
    for (const failure of failures) this.#fail(failure);
    if (minute > this.#prunedMinute) this.#prune(minute);
    return true;
  }

  /** The counts of the last `minutes` whole minutes and of the current one. */
  within(minutes: number, minute: number): Counts {
    const sum: Counts = new Map();
    for (const [counted, counts] of this.minutes) {
      if (counted < minute - minutes) continue;
      for (const [number, value] of counts) sum.set(number, (sum.get(number) ?? 0) + value);
    }
    return sum;
  }

  activeIsolates(minute: number): IsolateReport {
    let active = 0;
    let memoryBytes = 0;
    for (const known of this.isolates.values()) {
      if (known.minute < minute - ISOLATE_ACTIVE_MINUTES) continue;
      active += 1;
      memoryBytes += known.memoryBytes;
    }
    return { active, memoryBytes };
  }

  #numberOf(text: string, seriesMax: number): number | undefined {
    const known = this.series.get(text);
    if (known !== undefined) return known;
    if (this.series.size >= seriesMax) return undefined;
    const number = this.series.size + 1;
    this.series.set(text, number);
    return number;
  }

  /** A later one takes the place of an earlier one, whichever isolate tells it first. */
  #fail(failure: PeerFailure): void {
    const known = this.#failures.get(failure.peer);
    if (known === undefined || known.atMs <= failure.atMs) this.#failures.set(failure.peer, failure);
    if (this.#failures.size > FAILURES_MAX) this.#failures.delete(this.#failures.keys().next().value ?? '');
  }

  #note(exemplar: ExemplarSample): void {
    const text = seriesText(exemplar);
    // Only of series that are counted, so that a series beyond the limit has none either.
    if (!this.series.has(text)) return;
    this.#exemplars.delete(text);
    this.#exemplars.set(text, exemplar);
    for (const oldest of this.#exemplars.keys()) {
      if (this.#exemplars.size <= EXEMPLARS_MAX) break;
      this.#exemplars.delete(oldest);
    }
  }

  #raise(series: number, by: number, minute: number): void {
    let counts = this.minutes.get(minute);
    if (counts === undefined) {
      counts = new Map();
      this.minutes.set(minute, counts);
    }
    counts.set(series, (counts.get(series) ?? 0) + by);
    this.totals.set(series, (this.totals.get(series) ?? 0) + by);
  }

  #prune(minute: number): void {
    for (const counted of this.minutes.keys())
      if (counted <= minute - MINUTES_KEPT) this.minutes.delete(counted);
    for (const [isolate, known] of this.isolates) {
      const isSilent = known.minute <= minute - ISOLATE_KEPT_MINUTES;
      if (isSilent || this.isolates.size > ISOLATES_MAX) this.isolates.delete(isolate);
    }
    this.#prunedMinute = minute;
  }
}

function seriesText({ name, labels }: Pick<CounterSample, 'name' | 'labels'>): string {
  return JSON.stringify([name, sorted(labels)]);
}

/** Sorts the labels, so that a series has one text whatever the order of its labels. */
function sorted(labels: CounterSample['labels']): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

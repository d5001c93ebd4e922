import type { CounterSample, ExemplarSample } from './counters.ts';

/**
 * Upper bounds of the buckets, in milliseconds; the last bucket has none. Among them are the 100 ms in which a model
 * answers and the deadlines of the peers. Each bucket in use is a series of each route.
 */
export const DURATION_BOUNDS_MS = [5, 10, 25, 50, 100, 250, 1_000, 5_000, 10_000] as const;
/** The label of the bucket without a bound. */
export const UNBOUNDED = '+Inf';

/** What a histogram is called: as counters of the isolates, and in the text format. */
export interface DurationNames {
  /** The counter of durations in each bucket, with the label `le`, not cumulative. */
  readonly bucket: string;
  /** The counter of their sum, in milliseconds. */
  readonly sum: string;
  /** The histogram, in seconds. */
  readonly histogram: string;
}

/** @param subject such as `millrace_http_request`. */
export function durationNames(subject: string): DurationNames {
  return {
    bucket: `${subject}_duration_bucket_total`,
    sum: `${subject}_duration_ms_total`,
    histogram: `${subject}_duration_seconds`,
  };
}

/** The trace of a duration, and when it ended, in milliseconds since the Unix epoch. */
export type TracedDuration = Pick<ExemplarSample, 'traceId' | 'spanId' | 'atMs'>;

/** Durations by bucket, in whole milliseconds: the clock of workerd has no finer ones. */
export class Durations {
  readonly #buckets = new Array<number>(DURATION_BOUNDS_MS.length + 1).fill(0);
  /** The newest recorded trace of each bucket. */
  #traced: Map<number, TracedDuration & { readonly ms: number }> | undefined;
  #sumMs = 0;

  add(ms: number, traced?: TracedDuration): void {
    let bucket = 0;
    while (ms > (DURATION_BOUNDS_MS[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#sumMs += ms;
    if (traced === undefined) return;
    this.#traced ??= new Map();
    this.#traced.set(bucket, { ...traced, ms });
  }

  /** The newest recorded trace of each bucket, under the series that `samples` gives the bucket. */
  exemplars({ bucket: name }: DurationNames, labels: CounterSample['labels']): ExemplarSample[] {
    return [...(this.#traced ?? [])].map(([at, { ms, ...traced }]) => ({
      ...{ name, labels: { ...labels, le: boundOf(at) }, value: Math.max(0, ms) / 1_000 },
      ...traced,
    }));
  }

  /** The counters of the buckets that are not empty, and of the sum. */
  samples({ bucket, sum }: DurationNames, labels: CounterSample['labels']): CounterSample[] {
    const buckets = this.#buckets.flatMap((value, at) => {
      return value === 0 ? [] : [{ name: bucket, labels: { ...labels, le: boundOf(at) }, value }];
    });
    return this.#sumMs === 0
      ? buckets
      : [...buckets, { name: sum, labels, value: Math.max(0, Math.round(this.#sumMs)) }];
  }
}

/** The label of a bucket, in seconds. */
function boundOf(bucket: number): string {
  const bound = DURATION_BOUNDS_MS[bucket];
  return bound === undefined ? UNBOUNDED : String(bound / 1_000);
}

/** Requests or calls of one kind: how each ended, and how long all of them took. */
export class TimedOutcomes<Outcome extends string | number> {
  readonly #ended = new Map<Outcome, number>();
  readonly #durations = new Durations();

  /**
   * @param ms how long it took, in milliseconds.
   * @param traced its trace, if that is exported.
   */
  add(outcome: Outcome, ms: number, traced?: TracedDuration): void {
    this.#ended.set(outcome, (this.#ended.get(outcome) ?? 0) + 1);
    this.#durations.add(ms, traced);
  }

  exemplars(durations: DurationNames, labels: CounterSample['labels']): ExemplarSample[] {
    return this.#durations.exemplars(durations, labels);
  }

  /**
   * @param counter the name of the counter of outcomes.
   * @param label its label of the outcome.
   */
  samples(
    [counter, label]: readonly [counter: string, label: string],
    durations: DurationNames,
    labels: CounterSample['labels'],
  ): CounterSample[] {
    const ended = [...this.#ended].map(([outcome, value]) => ({
      name: counter,
      labels: { ...labels, [label]: String(outcome) },
      value,
    }));
    return [...ended, ...this.#durations.samples(durations, labels)];
  }
}

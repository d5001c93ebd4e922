import type { CounterSample } from './counters.ts';

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

/** Durations by bucket, in whole milliseconds: the clock of workerd has no finer ones. */
class Durations {
  readonly #buckets = new Array<number>(DURATION_BOUNDS_MS.length + 1).fill(0);
  #sumMs = 0;

  add(ms: number): void {
    let bucket = 0;
    while (ms > (DURATION_BOUNDS_MS[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#sumMs += ms;
  }

  /** The counters of the buckets that are not empty, and of the sum. */
  samples({ bucket, sum }: DurationNames, labels: CounterSample['labels']): CounterSample[] {
    const buckets = this.#buckets.flatMap((value, at) => {
      const bound = DURATION_BOUNDS_MS[at];
      const le = bound === undefined ? UNBOUNDED : String(bound / 1_000);
      return value === 0 ? [] : [{ name: bucket, labels: { ...labels, le }, value }];
    });
    return this.#sumMs === 0
      ? buckets
      : [...buckets, { name: sum, labels, value: Math.max(0, Math.round(this.#sumMs)) }];
  }
}

/** Requests or calls of one kind: how each ended, and how long all of them took. */
export class TimedOutcomes<Outcome extends string | number> {
  readonly #ended = new Map<Outcome, number>();
  readonly #durations = new Durations();

  /** @param ms how long it took, in milliseconds. */
  add(outcome: Outcome, ms: number): void {
    this.#ended.set(outcome, (this.#ended.get(outcome) ?? 0) + 1);
    this.#durations.add(ms);
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

/** Counts over time, as dashboards draw them. Pure: the counts come from the object that adds them up. */
import * as z from 'zod';

/** How far a range goes back and how long one of its steps is, in minutes. Each has at most 240 steps. */
export const SERIES_RANGES = {
  '1h': { minutes: 60, stepMinutes: 1 },
  '24h': { minutes: 1_440, stepMinutes: 10 },
  '30d': { minutes: 43_200, stepMinutes: 180 },
} as const;
export const RANGE_NAMES = ['1h', '24h', '30d'] as const;
export type SeriesRange = (typeof RANGE_NAMES)[number];

/** The most metrics and labels of a question, and the most series of its answer. */
export const METRICS_MAX = 16;
export const LABELS_MAX = 4;
export const SERIES_RETURNED_MAX = 200;

export const SeriesQuestion = z.object({
  range: z.enum(RANGE_NAMES),
  metrics: z.array(z.string().max(100)).min(1).max(METRICS_MAX),
  /** The labels that are kept apart; counts are summed over all others. */
  by: z.array(z.string().max(32)).max(LABELS_MAX),
});
export type SeriesQuestion = z.output<typeof SeriesQuestion>;

/** A series with its count in each step. */
export interface CountedSeries {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly number[];
}

export interface SeriesAnswer {
  readonly stepMinutes: number;
  /** When the first step begins, in minutes since the Unix epoch. The last step is the present one, and not over. */
  readonly firstMinute: number;
  readonly steps: number;
  /** The series with the most counts, if there are too many. */
  readonly series: readonly CountedSeries[];
  /** How many series were left out. */
  readonly omitted: number;
}

/** Sums counts into the steps of a question. */
export class SeriesSum {
  readonly #stepMinutes: number;
  readonly #firstStep: number;
  readonly #steps: number;
  readonly #metrics: ReadonlySet<string>;
  readonly #by: readonly string[];
  readonly #series = new Map<string, { metric: string; labels: Record<string, string>; values: number[] }>();

  /** @param minute the present one, in minutes since the Unix epoch. */
  constructor({ range, metrics, by }: SeriesQuestion, minute: number) {
    const { minutes, stepMinutes } = SERIES_RANGES[range];
    this.#stepMinutes = stepMinutes;
    this.#steps = minutes / stepMinutes;
    this.#firstStep = Math.floor(minute / stepMinutes) - this.#steps + 1;
    this.#metrics = new Set(metrics);
    this.#by = by;
  }

  get firstMinute(): number {
    return this.#firstStep * this.#stepMinutes;
  }

  /** Whether counts of this metric were asked for. */
  asks(metric: string): boolean {
    return this.#metrics.has(metric);
  }

  /** @param minute in which they were counted; a minute outside the range adds nothing. */
  add(minute: number, metric: string, labels: Readonly<Record<string, string>>, value: number): void {
    const step = Math.floor(minute / this.#stepMinutes) - this.#firstStep;
    if (step < 0 || step >= this.#steps || !this.#metrics.has(metric)) return;
    const kept = this.#by.map((label) => labels[label] ?? '');
    const key = JSON.stringify([metric, kept]);
    let series = this.#series.get(key);
    if (series === undefined) {
      const own = Object.fromEntries(this.#by.map((label, at) => [label, kept[at] ?? '']));
      series = { metric, labels: own, values: new Array<number>(this.#steps).fill(0) };
      this.#series.set(key, series);
    }
    series.values[step] = (series.values[step] ?? 0) + value;
  }

  answer(): SeriesAnswer {
    const total = ({ values }: CountedSeries) => values.reduce((sum, value) => sum + value, 0);
    const all = [...this.#series.values()];
    const shown =
      all.length <= SERIES_RETURNED_MAX
        ? all
        : all.toSorted((a, b) => total(b) - total(a)).slice(0, SERIES_RETURNED_MAX);
    return {
      stepMinutes: this.#stepMinutes,
      firstMinute: this.firstMinute,
      steps: this.#steps,
      series: shown,
      omitted: all.length - shown.length,
    };
  }
}

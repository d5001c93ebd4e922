/** Whether the rows that one version answers drift, and since when: pure, with the moments passed in. */
import * as z from 'zod';
import { DriftDetector, type DriftVerdict } from './detector.ts';
import type { DriftProfile } from './profile.ts';

/** The drifts of a version that are kept, the newest. */
const DRIFTS_MAX = 20;

const Verdict = z.strictObject({
  rows: z.int(),
  statistic: z.number(),
  isDrifting: z.boolean(),
  by: z.enum(['psi', 'level']),
  column: z.string(),
  windowRows: z.int(),
  psi: z.number(),
  level: z.number(),
  missing: z.strictObject({ training: z.number(), serving: z.number() }),
});

/**
 * A drift, from the first verdict that found it until the longest window has passed the last one that did. Moments are in
 * Unix milliseconds.
 */
export const Drift = z.strictObject({
  sinceMs: z.int(),
  untilMs: z.int().nullable(),
  /** The verdict that found it, and the rows at the last one that did. */
  found: Verdict,
  lastRows: z.int(),
  /** The newest run that it began, and why the last attempt began none. Null if the model does not ask for runs on drift. */
  training: z
    .strictObject({ run: z.string().nullable(), why: z.string().nullable(), atMs: z.int() })
    .nullable(),
});
export type Drift = z.output<typeof Drift>;

export const DriftWatchState = z.strictObject({
  /** Of the profile: above which statistic there is a drift, and the rows between two false alarms that it follows from. */
  threshold: z.number(),
  falseAlarmRows: z.int(),
  detector: z.strictObject({ rows: z.int(), buckets: z.array(z.array(z.number())) }),
  /** Null until the shortest window is full. */
  latest: Verdict.nullable(),
  /** The newest first. */
  drifts: z.array(Drift).max(DRIFTS_MAX),
});
export type DriftWatchState = z.output<typeof DriftWatchState>;

export class DriftWatch {
  readonly #detector: DriftDetector;
  readonly #profile: DriftProfile;
  #latest: DriftVerdict | null = null;
  #drifts: Drift[] = [];

  /** @throws RangeError if the state is of another profile. */
  constructor(profile: DriftProfile, state?: DriftWatchState) {
    this.#profile = profile;
    const { reference, windows, threshold } = profile;
    this.#detector = new DriftDetector(reference, windows, threshold, state?.detector);
    if (state === undefined) return;
    this.#latest = state.latest;
    this.#drifts = [...state.drifts];
  }

  get state(): DriftWatchState {
    const { rows, buckets } = this.#detector.state;
    const { threshold, falseAlarmRows } = this.#profile;
    return {
      ...{ threshold, falseAlarmRows },
      detector: { rows, buckets: buckets.map((counts) => [...counts]) },
      latest: this.#latest,
      drifts: this.#drifts,
    };
  }

  /** The drift that goes on; undefined if there is none. */
  get current(): Drift | undefined {
    const [newest] = this.#drifts;
    return newest?.untilMs === null ? newest : undefined;
  }

  /**
   * Whether a run should be asked for: when a drift begins and, while verdicts find it, again after a pause. The first run
   * may have seen too little of what has changed.
   */
  wantsTraining(nowMs: number, pauseMs: number): boolean {
    const { current } = this;
    if (current === undefined) return false;
    const { training } = current;
    return training === null || (this.#latest?.isDrifting === true && nowMs - training.atMs >= pauseMs);
  }

  /**
   * @param columns the names of the values; columns that the profile does not know are left out, and those that it misses
   *   are missing values.
   * @returns whether there was a verdict.
   */
  add(columns: readonly string[], rows: readonly (readonly number[])[], nowMs: number): boolean {
    const places = this.#profile.reference.columns.map(({ name }) => columns.indexOf(name));
    let isJudged = false;
    for (const row of rows) {
      const verdict = this.#detector.add(places.map((place) => row[place] ?? Number.NaN));
      if (verdict === undefined) continue;
      isJudged = true;
      this.#judged(verdict, nowMs);
    }
    return isJudged;
  }

  /** Notes what became of the run that the current drift asked for. */
  asked(training: NonNullable<Drift['training']>): void {
    if (this.current !== undefined) this.#change({ training });
  }

  /** Changes the newest drift. */
  #change(to: Partial<Drift>): void {
    this.#drifts = this.#drifts.map((drift, at) => (at === 0 ? { ...drift, ...to } : drift));
  }

  get #longestRows(): number {
    const { bucketRows, buckets } = this.#profile.windows;
    return bucketRows * Math.max(...buckets);
  }

  #judged(verdict: DriftVerdict, nowMs: number): void {
    this.#latest = verdict;
    const { current } = this;
    if (verdict.isDrifting && current === undefined) {
      const drift: Drift = {
        ...{ sinceMs: nowMs, untilMs: null, found: verdict, lastRows: verdict.rows, training: null },
      };
      this.#drifts = [drift, ...this.#drifts].slice(0, DRIFTS_MAX);
    }
    if (current === undefined) return;
    if (verdict.isDrifting) this.#change({ lastRows: verdict.rows });
    // A longer window that fills up later still has the rows of the drift.
    else if (verdict.rows - current.lastRows >= this.#longestRows) this.#change({ untilMs: nowMs });
  }
}

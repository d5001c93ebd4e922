import * as z from 'zod';

/** The most different buckets of scores that an arm counts; scores beyond are in the nearest. */
const BUCKET_MAX = 200;
/** Buckets of each doubling of a score. */
const BUCKETS_OF_OCTAVE = 4;
/** The octave below which a score counts as 0. */
const LEAST_OCTAVE = -24;

const Count = z.int().nonnegative();

/** What an arm did since it was last reported. */
export const ArmCounts = z.strictObject({
  requests: Count,
  /** Requests whose version could not answer: it failed, could not be loaded, or was late. */
  errors: Count,
  /** Requests that took longer than the plan's `slowMs`. */
  slow: Count,
  /** How many scores were in each bucket. */
  scores: z.array(z.tuple([z.int().min(-BUCKET_MAX).max(BUCKET_MAX), Count])).max(2 * BUCKET_MAX + 1),
});
export type ArmCounts = z.output<typeof ArmCounts>;

/** What an isolate saw of a rollout since its last report. */
export const RolloutReport = z.strictObject({
  rollout: z.string().max(64),
  champion: ArmCounts,
  canary: ArmCounts,
});
export type RolloutReport = z.output<typeof RolloutReport>;

/**
 * The bucket of a score: four for each doubling of its size, for either sign; 0 for a score next to 0. So a bucket is
 * known without the range of a model's scores.
 */
export function scoreBucket(score: number): number {
  const size = Math.abs(score);
  if (!(size > 2 ** LEAST_OCTAVE)) return 0;
  const bucket = Math.min(BUCKET_MAX, 1 + Math.floor((Math.log2(size) - LEAST_OCTAVE) * BUCKETS_OF_OCTAVE));
  return score < 0 ? -bucket : bucket;
}

/** How one request of an arm went. */
export interface Outcome {
  readonly isError: boolean;
  readonly isSlow: boolean;
  /** Undefined if the version gave none. */
  readonly score: number | undefined;
}

/** Counts of an arm that are being added up. */
export class ArmTally {
  #requests = 0;
  #errors = 0;
  #slow = 0;
  readonly #scores = new Map<number, number>();

  add({ isError, isSlow, score }: Outcome): void {
    this.#requests += 1;
    if (isError) this.#errors += 1;
    if (isSlow) this.#slow += 1;
    if (score === undefined) return;
    const bucket = scoreBucket(score);
    this.#scores.set(bucket, (this.#scores.get(bucket) ?? 0) + 1);
  }

  addCounts({ requests, errors, slow, scores }: ArmCounts): void {
    this.#requests += requests;
    this.#errors += errors;
    this.#slow += slow;
    for (const [bucket, count] of scores) this.#scores.set(bucket, (this.#scores.get(bucket) ?? 0) + count);
  }

  get counts(): ArmCounts {
    const scores = [...this.#scores].sort(([a], [b]) => a - b);
    return { requests: this.#requests, errors: this.#errors, slow: this.#slow, scores };
  }
}

/** The fewest scores by which the champion's usual range is known. */
const BAND_SCORES_MIN = 40;
/** The part of the champion's scores that is outside of its usual range, at each end. */
const BAND_TAIL = 0.05;

/** The buckets between which the champion's scores usually are; undefined while too few of them are known. */
export function bandOf({ scores }: Pick<ArmCounts, 'scores'>): [number, number] | undefined {
  const all = scores.reduce((sum, [, count]) => sum + count, 0);
  if (all < BAND_SCORES_MIN) return undefined;
  const at = (share: number): number => {
    let below = 0;
    for (const [bucket, count] of scores) {
      below += count;
      if (below > share * all) return bucket;
    }
    return scores.at(-1)?.[0] ?? 0;
  };
  return [at(BAND_TAIL), at(1 - BAND_TAIL - 1e-9)];
}

/** How many scores there are, and how many of them are outside of a range. */
export function outside({ scores }: Pick<ArmCounts, 'scores'>, [low = 0, high = 0]: readonly number[]) {
  let [all, out] = [0, 0];
  for (const [bucket, count] of scores) {
    all += count;
    if (bucket < low || bucket > high) out += count;
  }
  return { all, out };
}

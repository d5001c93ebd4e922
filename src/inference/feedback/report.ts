import * as z from 'zod';
import { POSITIONS_MAX } from './trials.ts';

/** Two-sided, of an interval of 95 %. */
const Z = 1.959_963_984_540_054;

const Count = z.int().nonnegative();
const Rate = z.object({
  trials: Count,
  hits: Count,
  /** Null without a trial. */
  rate: z.number().nullable(),
  low: z.number(),
  high: z.number(),
});
const Position = z.object({ position: z.int().positive(), ranked: Rate, explored: Rate });
export const FeedbackReport = z.object({
  versions: z.array(
    z.object({
      version: z.string(),
      /** Logged answers by what they were. */
      answers: z.object({ ranked: Count, explored: Count, degraded: Count, other: Count }),
      /** Trials whose windows have not ended, and those of them with a hit so far. */
      pending: z.object({ trials: Count, hits: Count }),
      /** Ended trials that no event followed. Of predictions they are not judged. */
      unlabelled: Count,
      /** Trials that were not kept because too many were pending. */
      dropped: Count,
      ranked: Rate,
      explored: Rate,
      positions: z.array(Position),
    }),
  ),
});
export type FeedbackReport = z.output<typeof FeedbackReport>;

/** What the object that joins the labels has of a model. */
export interface FeedbackCounts {
  readonly counts: readonly { readonly version: string; readonly name: string; readonly n: number }[];
  readonly pending: readonly {
    readonly version: string;
    readonly trials: number;
    readonly hits: number;
  }[];
}

/**
 * A rate with its interval of 95 % (E. B. Wilson, Probable inference, the law of succession, and statistical inference,
 * 1927), which holds for few trials and for rates near 0 as well.
 */
export function rateOf(trials: number, hits: number): z.output<typeof Rate> {
  if (trials === 0) return { trials, hits, rate: null, low: 0, high: 1 };
  const rate = hits / trials;
  const scale = 1 + Z ** 2 / trials;
  const middle = (rate + Z ** 2 / (2 * trials)) / scale;
  const half = (Z / scale) * Math.sqrt((rate * (1 - rate)) / trials + Z ** 2 / (4 * trials ** 2));
  return {
    ...{ trials, hits, rate },
    low: hits === 0 ? 0 : Math.max(0, middle - half),
    high: hits === trials ? 1 : Math.min(1, middle + half),
  };
}

/** The report of a model; the versions in the order of their names. */
export function reportOf({ counts, pending }: FeedbackCounts): FeedbackReport {
  const names = new Set([...counts, ...pending].map(({ version }) => version));
  return { versions: [...names].sort().map((version) => versionOf(version, { counts, pending })) };
}

function versionOf(version: string, { counts, pending }: FeedbackCounts): FeedbackReport['versions'][number] {
  const of = (name: string) =>
    counts.reduce((sum, count) => sum + (count.version === version && count.name === name ? count.n : 0), 0);
  const { trials = 0, hits = 0 } = pending.find((own) => own.version === version) ?? {};
  const positions = Array.from({ length: POSITIONS_MAX }, (_, at) => ({
    position: at + 1,
    ranked: rateOf(of(`shown.${at}`), of(`hit.${at}`)),
    explored: rateOf(of(`explored.shown.${at}`), of(`explored.hit.${at}`)),
  }));
  return {
    version,
    answers: {
      ...{ ranked: of('answers'), explored: of('explored') },
      ...{ degraded: of('degraded'), other: of('other') },
    },
    pending: { trials, hits },
    ...{ unlabelled: of('unlabelled') + of('explored.unlabelled'), dropped: of('dropped') },
    ranked: rateOf(of('trials'), of('hits')),
    explored: rateOf(of('explored.trials'), of('explored.hits')),
    positions: positions.filter(({ ranked, explored }) => ranked.trials + explored.trials > 0),
  };
}

/** Streams of one value in which a drift is planted at a known row. */
import { type Random, seededRandom } from '../../src/platform/random.ts';

/** Rows before the drift, and rows that are judged after it began. */
export const CALM_ROWS = 5_000;
export const DRIFT_ROWS = 5_000;
/** A recurring drift is there for so many rows, and gone for as many. */
export const PERIOD_ROWS = 1_500;

interface Kind {
  readonly title: string;
  /** The mean and the standard deviation of a row, `since` rows after the drift began. */
  readonly at: (since: number, random: Random) => { readonly mean: number; readonly sd?: number };
  /** Rows after the beginning at which a drift begins (again). */
  readonly onsets: readonly number[];
}

export const KINDS: Readonly<Record<string, Kind>> = {
  sudden: { title: 'sudden, mean + 1 sd', at: () => ({ mean: 1 }), onsets: [0] },
  small: { title: 'sudden, mean + 0.25 sd', at: () => ({ mean: 0.25 }), onsets: [0] },
  spread: { title: 'sudden, sd × 1.5', at: () => ({ mean: 0, sd: 1.5 }), onsets: [0] },
  gradual: {
    title: 'gradual: more and more rows of mean + 1 sd, over 2,000 rows',
    at: (since, random) => ({ mean: random() < since / 2_000 ? 1 : 0 }),
    onsets: [0],
  },
  incremental: {
    title: 'incremental: the mean rises by 1 sd over 2,000 rows',
    at: (since) => ({ mean: Math.min(1, since / 2_000) }),
    onsets: [0],
  },
  recurring: {
    title: `recurring: mean + 1 sd for ${PERIOD_ROWS} rows, then none for as many`,
    at: (since) => ({ mean: Math.floor(since / PERIOD_ROWS) % 2 === 0 ? 1 : 0 }),
    onsets: [0, 2 * PERIOD_ROWS],
  },
};

export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function streamOf(kind: string, seed: number): Float64Array {
  const random = seededRandom(seed);
  return Float64Array.from({ length: CALM_ROWS + DRIFT_ROWS }, (_, row) => {
    const { mean, sd = 1 } =
      row < CALM_ROWS ? { mean: 0 } : (KINDS[kind]?.at(row - CALM_ROWS, random) ?? { mean: 0 });
    return mean + sd * normal(random);
  });
}

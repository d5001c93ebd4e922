import { expect, it } from 'vitest';
import { IS_PART } from '../../../../test/support/node/part.ts';
import { learningRun } from '../../bench/learning/run.ts';

/** The aims, in milliseconds. */
const CHAMPION_WITHIN_MS = 300_000;
const BAD_OUT_WITHIN_MS = 60_000;

// It takes some seven minutes, two of which pass until a snapshot has the first season.
it.skipIf(IS_PART)(
  'learns a new season by itself, and puts a bad version out by itself',
  async () => {
    const run = await learningRun(1, () => undefined);
    const what = run.happened.map((one) => one.what);
    expect(run.driftMs, what.join('\n')).toBeDefined();
    expect(run.championMs, what.join('\n')).toBeLessThan(CHAMPION_WITHIN_MS);
    expect(run.badOutMs, what.join('\n')).toBeLessThan(BAD_OUT_WITHIN_MS);
    const { before = 0, shifted = 1, recovered = 0, after = 0 } = run.hitRates;
    expect(shifted).toBeLessThan(before / 2);
    expect(recovered).toBeGreaterThan(shifted * 1.5);
    expect(after).toBeGreaterThan(shifted * 1.5);
  },
  1_200_000,
);

import { expect, it } from 'vitest';
import { seededRandom } from '../../../../src/platform/random.ts';
import { thresholdOf } from '../../../../src/training/drift/threshold.ts';
import { shareOf } from '../../../support/node/part.ts';
import { firstAlarm, rowOf, sampleOf } from './streams.ts';

const WINDOWS = { bucketRows: 25, buckets: [5, 20] };
const EXPECTED_ROWS = 5_000;
/** A reference is a sample, too: with one of them alone the run time would differ by a fifth. */
const REFERENCES = shareOf(20, 0.2);
const REPLAYS_OF_EACH = 50;

/** The mean of the rows until a false alarm, over the expected one. */
function realisedRunTime(thresholdBy: (exact: number) => number): number {
  let rows = 0;
  for (let sample = 0; sample < REFERENCES; sample += 1) {
    const random = seededRandom(700 + sample);
    const { reference, binned } = sampleOf(4_000, random);
    const threshold = thresholdBy(
      thresholdOf(
        reference,
        binned,
        { windows: WINDOWS, expectedRunRows: EXPECTED_ROWS, streams: 400, blockRows: 1 },
        random,
      ),
    );
    const options = { windows: WINDOWS, threshold, rowsMax: 20 * EXPECTED_ROWS };
    for (let replay = 0; replay < REPLAYS_OF_EACH; replay += 1)
      rows += firstAlarm(reference, options, () => rowOf(random))?.rows ?? options.rowsMax;
  }
  return rows / (REFERENCES * REPLAYS_OF_EACH) / EXPECTED_ROWS;
}

it(`lets ${REFERENCES * REPLAYS_OF_EACH} streams without drift run as long as it says, within a fifth`, {
  timeout: 600_000,
}, () => {
  const realised = realisedRunTime((exact) => exact);
  expect(realised).toBeGreaterThan(0.8);
  expect(realised).toBeLessThan(1.2);
  // A threshold a tenth too low is found.
  expect(realisedRunTime((exact) => 0.9 * exact)).toBeLessThan(0.8);
});

it('refuses a run time that is hardly longer than the windows', () => {
  const { reference, binned } = sampleOf(1_000, seededRandom(1));
  const options = { windows: WINDOWS, expectedRunRows: 4_999, streams: 1, blockRows: 1 };
  expect(() => thresholdOf(reference, binned, options, seededRandom(1))).toThrow(RangeError);
});

import { describe, expect, it } from 'vitest';
import { partOf } from '../support/node/part.ts';
import { RECORDED, textOf } from './configurations.ts';
import { type Line, MUTILATIONS, moduleOf, recordingOf } from './recorded.ts';
import { type Checked, check, jarOrReason } from './tlc.ts';

/** Seeds of the simulation whose runs are checked. The isolates of seed 3 hedge slow regions. */
const SEEDS = [1, 2, 3];
const MUTILATED_SEED = 1;
/** Ten times what the longest takes on a quiet core, in milliseconds. */
const TIMEOUT_MS = 300_000;
/** TLC reports this invariant as violated once the model has taken every step of a recording. */
const ACCEPTED = 'NotAccepted';

const tlc = jarOrReason();
const title = 'reason' in tlc ? `the model (skipped: ${tlc.reason})` : 'the model';

describe.skipIf('reason' in tlc)(title, () => {
  it.each(partOf(SEEDS, 5))('accepts the recorded run of seed %i', { timeout: TIMEOUT_MS }, async (seed) => {
    const { violated } = await match(seed, await recordingOf(seed));
    expect(violated).toBe(ACCEPTED);
  });

  it.each(partOf(Object.entries(MUTILATIONS), 3))(
    'refuses a recorded run in which %s',
    {
      timeout: TIMEOUT_MS,
    },
    async (_name, mutilated) => {
      const whole = await recordingOf(MUTILATED_SEED);
      const { violated, isComplete } = await match(MUTILATED_SEED, mutilated(whole));
      // TLC has tried every behaviour, and none has taken every step.
      expect({ violated, isComplete }).toEqual({ violated: undefined, isComplete: true });
    },
  );
});

async function match(seed: number, lines: readonly Line[]): Promise<Checked> {
  return await check({
    jar: 'jar' in tlc ? tlc.jar : '',
    module: 'Recorded',
    configuration: textOf(RECORDED, 'RecordedSpec'),
    workers: 1,
    generated: { Trace: moduleOf(seed, lines) },
  });
}

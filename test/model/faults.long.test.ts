import { describe, expect, it } from 'vitest';
import { partOf } from '../support/node/part.ts';
import { textOf } from './configurations.ts';
import { configurationOf, MODEL_FAULTS } from './faults.ts';
import { check, jarOrReason } from './tlc.ts';

/** Ten times what the longest takes on a quiet core, in milliseconds. */
const TIMEOUT_MS = 240_000;

const tlc = jarOrReason();
const title = 'reason' in tlc ? `the model (skipped: ${tlc.reason})` : 'the model';

describe.skipIf('reason' in tlc)(title, () => {
  it.each(partOf(MODEL_FAULTS, 10))(
    'with the fault "$fault" violates $breaks after $depth states',
    {
      timeout: TIMEOUT_MS,
    },
    async (fault) => {
      // With one worker the counterexample is a shortest one.
      const { violated, depth } = await check({
        jar: 'jar' in tlc ? tlc.jar : '',
        module: 'Checked',
        configuration: textOf(configurationOf(fault)),
        workers: 1,
      });
      expect({ violated, depth }).toEqual({ violated: fault.breaks, depth: fault.depth });
    },
  );
});

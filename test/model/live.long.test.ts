import { describe, expect, it } from 'vitest';
import { IS_PART } from '../support/node/part.ts';
import { LIVE, textOf } from './configurations.ts';
import { check, jarOrReason } from './tlc.ts';

/** Ten times what the longest takes on a quiet core, in milliseconds. */
const TIMEOUT_MS = 240_000;

const tlc = jarOrReason();
const title = 'reason' in tlc ? `the model (skipped: ${tlc.reason})` : 'the model';

describe.skipIf('reason' in tlc)(title, () => {
  // A part has the safety of the model (`npm run model`), and that a fault of it would be found.
  it.skipIf(IS_PART).each(Object.entries(LIVE))(
    'has the property %s',
    {
      timeout: TIMEOUT_MS,
    },
    async (_name, { specification, configuration }) => {
      const { violated, isComplete } = await check({
        jar: 'jar' in tlc ? tlc.jar : '',
        module: 'Live',
        configuration: textOf(configuration, specification),
        workers: 1,
      });
      expect({ violated, isComplete }).toEqual({ violated: undefined, isComplete: true });
    },
  );

  it('would find that readers wait for ever, if nobody answered their syncs', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { configuration } = LIVE['SyncsArrive'] ?? {};
    if (configuration === undefined) throw new Error('There is no property SyncsArrive.');
    const { violated } = await check({
      jar: 'jar' in tlc ? tlc.jar : '',
      module: 'Live',
      configuration: textOf(configuration, 'Spec'),
      workers: 1,
    });
    expect(violated).toBe('a temporal property');
  });
});

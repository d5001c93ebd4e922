import { it } from 'vitest';
import { expectRefusal } from '../../../../test/support/node/command-usage.ts';

it.each([
  [['--sed', '1'], 'There is no option --sed. Did you mean --seed?'],
  [['--seed', 'x'], '--seed takes a whole number of at least 0, not "x".'],
])('the recipe refuses %j in one line', { timeout: 120_000 }, async (args, message) => {
  await expectRefusal('examples/bike-share/train.ts', args, message);
});

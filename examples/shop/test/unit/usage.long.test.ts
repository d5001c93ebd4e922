import { it } from 'vitest';
import { expectRefusal } from '../../../../test/support/node/command-usage.ts';

it.each([
  ['examples/shop/train.ts', ['--seed', '-1'], '--seed needs a value, but "-1" follows it.'],
  [
    'examples/shop/train.ts',
    ['--csf', 'x'],
    'Did you mean --csv? `npm run train -- ranker` takes --csv, --out, --seed.',
  ],
  ['examples/shop/seed/write-csv.ts', ['--until', 'now'], '--until takes a moment as 2026-05-31T09:00:00Z'],
  ['examples/shop/bench/pipeline.ts', ['--seconds', 'x'], '--seconds takes a whole number of at least 1'],
  ['examples/shop/bench/bulk.ts', [], 'Name a file of the UCI data set: npm run bench:bulk -- FILE.'],
  ['examples/shop/bench/warming.ts', ['a', 'b'], '"b" is one too many'],
] as const)('%s %j is refused in one line', { timeout: 120_000 }, async (script, args, message) => {
  await expectRefusal(script, args, message);
});

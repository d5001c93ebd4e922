/**
 * A retraining on purchases that the first version has not seen: one is trained from the first months of a file, another some
 * months later, as the worker trains them. The later one is judged beside the first on the newest weeks that it has, and
 * both answer visits of the months after. Without a stack: the times are those of the file.
 *
 *   node examples/shop/bench/unseen.ts FILE [--first 2010-08-31] [--again 2010-10-31] [--share 0.5] [--seed 1]
 */
import { loadavg } from 'node:os';
import { readOptions } from '../../../scripts/command-line/options.ts';
import { runCommand } from '../../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../../scripts/command-line/values.ts';
import { hashedFraction, hashText } from '../../../src/platform/random.ts';
import { purchasesFromCsv } from '../train.ts';
import { Replayed, type Trained } from './unseen/replayed.ts';

const DAY_MS = 86_400_000;

await runCommand(async () => {
  const { values, positionals } = readOptions({
    command: 'node examples/shop/bench/unseen.ts',
    options: {
      first: { type: 'string', default: '2010-08-31' },
      again: { type: 'string', default: '2010-10-31' },
      /** Of the customers, by a hash of their numbers. */
      share: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
    },
    positionalsMax: 1,
  });
  const seed = wholeNumberOf('--seed', values.seed, { min: 0 });
  const basis = hashText('share');
  const purchases = (await purchasesFromCsv(positionals[0] ?? '')).filter(
    ({ customer }) => hashedFraction(basis, customer) < Number(values.share),
  );
  const shop = new Replayed(purchases, seed);
  const first = await shop.train(endOf(values.first), undefined);
  tell(`The version of the purchases until ${values.first}`, first);
  const again = await shop.train(endOf(values.again), first);
  tell(`The version of the purchases until ${values.again}, beside it`, again);
  console.log(`The first one, after ${values.again}:`, shop.hitRates(first, endOf(values.again)));
  console.log(`The later one, after ${values.again}:`, shop.hitRates(again, endOf(values.again)));
});

function endOf(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) + DAY_MS;
}

function tell(name: string, { seconds, evaluation }: Trained): void {
  if (evaluation === null) throw new Error('A run that is done has an evaluation.');
  const { rows, verdict, gains, model, baseline, champion } = evaluation;
  const figures = { rows, verdict, gains, model, baseline: baseline.figures, champion: champion?.figures };
  console.log(`${name}: ${seconds.toFixed(0)} s, load ${loadavg()[0]?.toFixed(1)}`);
  console.log(JSON.stringify(figures, null, 1));
}

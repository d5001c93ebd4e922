import { expect, it } from 'vitest';
import { nodeRuntime } from '../../../scripts/models/node-runtime.ts';
import { NetworkRecipe } from '../../../src/define/training-recipe.ts';
import { runTraining } from '../../../src/training/run.ts';
import { partOf } from '../../support/node/part.ts';
import { madeUpSet } from '../../support/training/sets.ts';
import { hasPython } from '../python.ts';
import { referenceLoss } from './reference.ts';

const CASES = [
  // A convex problem: the losses differ by what is left after the last epoch.
  ['binary', 'linear', [], 0.002],
  ['regression', 'linear', [], 0.002],
  // Two other draws of the first weights.
  ['binary', 'network', [16], 0.05],
  ['regression', 'network', [32], 0.05],
] as const;

it.skipIf(!hasPython('sklearn')).each(partOf(CASES, 6))(
  'a %s is learned as well as by the %s of scikit-learn, with the hidden layers %j within %f',
  async (task, reference, hidden, aboveMax) => {
    const set = madeUpSet({ rows: 8_000, columns: 8, task, missing: 0.1 });
    const recipe = NetworkRecipe.parse({ kind: 'network', task, hidden, epochs: 40, decay: 0 });
    // The rate falls along a cosine here, and stays as it is there; so both move by as much.
    const state = await runTraining({ ...recipe, learningRate: 0.02 }, set, 1, nodeRuntime);
    const own = state.losses.at(-1)?.validation ?? Number.NaN;
    const other = referenceLoss(reference, set, task, recipe);
    console.log(`${task} by ${reference}: ${own}, scikit-learn ${other}`);
    expect(own).toBeLessThan(other * (1 + aboveMax));
  },
  120_000,
);

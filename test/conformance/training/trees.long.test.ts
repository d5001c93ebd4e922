import { expect, it } from 'vitest';
import { TreesRecipe } from '../../../src/define/training-recipe.ts';
import { bestLength, startTrees, stepTrees } from '../../../src/training/trees/boost.ts';
import { madeUpSet } from '../../support/training/sets.ts';
import { hasPython } from '../python.ts';
import { referenceLoss } from './reference.ts';

/** By how much the loss may be above LightGBM's on the same rows, with the same settings. */
const ABOVE_MAX = 0.05;

it.skipIf(!hasPython('lightgbm')).each([
  ['regression', 0.2, {}],
  ['binary', 0.1, { leaves: 15, leafRows: 50, l2: 1 }],
] as const)(
  'trees of a %s with %f of the values missing predict as well as those of LightGBM: %o',
  (task, missing, settings) => {
    const set = madeUpSet({ rows: 12_000, columns: 10, task, missing });
    const recipe = TreesRecipe.parse({ kind: 'trees', task, trees: 80, patience: 0, ...settings });
    let state = startTrees(recipe, set, 1);
    while (!state.isDone) state = stepTrees(state);
    const own = state.losses[bestLength(state.losses) - 1]?.validation ?? Number.NaN;
    const last = state.losses.at(-1)?.validation ?? Number.NaN;
    const reference = referenceLoss('lightgbm', set, task, recipe);
    console.log(`${task}: ${last} after all trees, ${own} at the best; LightGBM ${reference}`);
    expect(last).toBeLessThan(reference * (1 + ABOVE_MAX));
  },
  120_000,
);

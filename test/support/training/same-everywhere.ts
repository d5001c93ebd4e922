import type { TrainingRuntime } from '../../../src/training/onnx/runtime.ts';
import { finishTraining, runTraining } from '../../../src/training/run.ts';
import { madeUpSet } from './sets.ts';

/**
 * Trainings whose models are the same bytes in Node and in workerd. A new version of the ONNX runtime may change those of
 * networks: then both tests show the same new digest.
 */
export const SAME_EVERYWHERE = [
  {
    recipe: { kind: 'trees', task: 'binary', trees: 20, rowShare: 0.8 },
    sha256: '64e0307350be1e8c39ca76fc0c50401fb59756e53827e0ab8a7b91f7608482a2',
  },
  {
    recipe: { kind: 'network', task: 'binary', hidden: [8], epochs: 3 },
    sha256: 'ca2b67cbd0b00840dde453e2524d7ad87e18ebc41ac8715986e53298589eb7b3',
  },
  {
    recipe: { kind: 'network', task: 'regression', hidden: [], epochs: 3 },
    sha256: '4c53c98e5e6d1eb4da155d47768a49a100cc59af93aa63ab61223cac31e98d9c',
  },
] as const;

/** Trains and writes the model of one of them. */
export async function modelOf({ recipe }: (typeof SAME_EVERYWHERE)[number], runtime: TrainingRuntime) {
  const set = madeUpSet({ rows: 1_500, columns: 6, task: recipe.task, missing: 0.1 });
  const state = await runTraining(recipe, set, 1, runtime);
  return finishTraining(state, { origin: 'test' }, { input: 'features', output: 'value' });
}

import * as z from 'zod';
import { arrayIn, type Checkpoint, encodeCheckpoint, fingerprintOf, invalid } from '../checkpoint.ts';
import type { TrainingColumns } from '../columns.ts';
import { type NetworkState, startNetwork } from './train.ts';

const Header = z.strictObject({
  kind: z.literal('network'),
  seed: z.number(),
  recipe: z.unknown(),
  fingerprint: z.number(),
  isDone: z.boolean(),
  batches: z.int().nonnegative(),
  sums: z.strictObject({ loss: z.number(), weight: z.number() }),
  losses: z.array(z.strictObject({ training: z.number(), validation: z.number().optional() })),
});

/** What has been learned so far, without the training set: 16 bytes for each parameter. */
export function checkpointNetwork(state: NetworkState): Uint8Array<ArrayBuffer> {
  const { recipe, seed, isDone, batches, sums, losses, parameters, first, second, best } = state;
  return encodeCheckpoint({
    header: {
      kind: 'network',
      ...{ seed, recipe, fingerprint: fingerprint(state.set), isDone, batches, sums, losses },
    },
    arrays: { parameters, first, second, best },
  });
}

/** @throws TrainingRefused `invalid_checkpoint` if it is no checkpoint of a network, or is one of another set. */
export function resumeNetwork(checkpoint: Checkpoint, set: TrainingColumns): NetworkState {
  const { success, data } = Header.safeParse(checkpoint.header);
  if (!success) throw invalid();
  if (fingerprint(set) !== data.fingerprint)
    throw invalid('The checkpoint is of a training on another set of rows.');
  const fresh = startNetwork(data.recipe, set, data.seed);
  const array = (name: string) => arrayIn(checkpoint, name, Float32Array, fresh.parameters.length);
  const { batches, sums, isDone } = data;
  return {
    ...fresh,
    ...{
      parameters: array('parameters'),
      first: array('first'),
      second: array('second'),
      best: array('best'),
    },
    ...{ batches, sums, isDone },
    losses: data.losses.map(({ training, validation }) => ({ training, validation })),
  };
}

function fingerprint({ columns, labels, weights, trainingRows }: TrainingColumns): number {
  return fingerprintOf([Float64Array.of(trainingRows), ...columns, labels, weights]);
}

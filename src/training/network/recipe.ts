import * as z from 'zod';

/** The settings of a network; without hidden layers it is a linear or a logistic regression. */
export const NetworkRecipe = z.strictObject({
  kind: z.literal('network'),
  task: z.enum(['regression', 'binary']),
  /** Units of each hidden layer (ReLU). */
  hidden: z.array(z.int().min(1).max(256)).max(3).default([16]),
  /** How often each row is learned from, at most. */
  epochs: z.int().min(1).max(1_000).default(20),
  /** Rows of a step of Adam. */
  batch: z.int().min(1).max(8_192).default(256),
  /** The step of Adam at the start; it falls to a twentieth along a cosine. */
  learningRate: z.number().positive().max(1).default(0.01),
  /** The penalty on squared weights (not on biases). */
  decay: z.number().min(0).max(10).default(1e-5),
  /** After how many epochs without a lower loss on the later rows training ends; 0 for never. */
  patience: z.int().min(0).max(1_000).default(0),
});
export type NetworkRecipe = z.output<typeof NetworkRecipe>;

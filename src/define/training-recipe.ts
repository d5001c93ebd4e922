/** How a model is trained: the settings of a recipe. `src/training` trains by them. */
import * as z from 'zod';
import { DeclarationMistake } from './mistake.ts';

/** The most nodes that all trees of a model have together: such a model's file has about 2 MB. */
const NODES_MAX = 60_000;

/** The settings of gradient-boosted trees, with the names that other libraries use in comments. */
export const TreesRecipe = z
  .strictObject({
    kind: z.literal('trees'),
    task: z.enum(['regression', 'binary']),
    /** The most trees (`n_estimators`). */
    trees: z.int().min(1).max(2_000).default(200),
    /** By what the values of a tree's leaves are multiplied. */
    learningRate: z.number().positive().max(1).default(0.1),
    /** The most leaves of a tree (`num_leaves`); the leaf that gains most is split first. */
    leaves: z.int().min(2).max(255).default(31),
    /** The most comparisons on the way to a leaf (`max_depth`). */
    depth: z.int().min(1).max(32).default(12),
    /** The fewest rows of a leaf (`min_child_samples`). */
    leafRows: z.int().min(1).max(100_000).default(20),
    /** The least sum of second derivatives in a leaf (`min_child_weight`). */
    leafHessian: z.number().min(0).default(1e-3),
    /** The penalty on squared leaf values (`reg_lambda`). */
    l2: z.number().min(0).default(0),
    /** The least gain of a split (`min_split_gain`). */
    splitGain: z.number().min(0).default(0),
    /** The shares of columns and of rows that a tree is grown from (`colsample_bytree`, `subsample`). */
    columnShare: z.number().positive().max(1).default(1),
    rowShare: z.number().positive().max(1).default(1),
    /** The most values that a column is rounded to, beside "missing" (`max_bin`). */
    bins: z.int().min(2).max(255).default(255),
    /** After how many trees without a lower loss on the later rows training ends; 0 for never. */
    patience: z.int().min(0).max(2_000).default(20),
  })
  .refine(({ trees, leaves }) => trees * (2 * leaves - 1) <= NODES_MAX, {
    error: ({ input }) => {
      const { trees, leaves } = input as { trees: number; leaves: number };
      return `${trees} trees of ${leaves} leaves have up to ${trees * (2 * leaves - 1)} nodes; a model can have ${NODES_MAX}.`;
    },
  });
export type TreesRecipe = z.output<typeof TreesRecipe>;

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

/** A recipe whose settings are all known and within their ranges. */
export type TrainingRecipe = TreesRecipe | NetworkRecipe;

/** A recipe as a model declares it. The kind of model decides the task, and settings that are left out have defaults. */
export type DeclaredRecipe =
  | Omit<z.input<typeof TreesRecipe>, 'task'>
  | Omit<z.input<typeof NetworkRecipe>, 'task'>;

/**
 * @param task `regression` for a model of numbers, `binary` for the probability that a ranking or two classes need.
 * @throws DeclarationMistake for a setting that is unknown or out of its range.
 */
export function recipeOf(declared: DeclaredRecipe, task: TrainingRecipe['task']): TrainingRecipe {
  const schema = declared.kind === 'trees' ? TreesRecipe : NetworkRecipe;
  const { success, data, error } = schema.safeParse({ ...declared, task });
  if (success) return data;
  const [issue] = error.issues;
  throw new DeclarationMistake(
    `The setting "${issue?.path.join('.') ?? ''}" of \`training\` is wrong: ${issue?.message ?? 'invalid'}.`,
    'docs/training.md lists the settings of each recipe with their ranges.',
  );
}

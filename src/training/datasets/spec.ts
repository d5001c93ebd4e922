import * as z from 'zod';
import type { DatasetDefinition } from '../../define/dataset.ts';
import { daysMs } from '../../define/feature-window.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { versionOf } from '../../features/cell-rule.ts';
import { sha256HexNow } from '../../platform/digest.ts';
import { columnsOf } from './columns.ts';

/** The form of the files and of the manifest. Another one gives other bytes. */
export const DATASET_FORMAT = 1;

/**
 * Which events count for the features of a row: those that were stored by the moment of the row, or those that were stored
 * by the moment of the snapshot. A history that was imported long after it happened has rows only by the second.
 */
export const KNOWLEDGE = ['row', 'snapshot'] as const;

/** What decides the rows of a dataset, beside the history. All moments are in milliseconds since the Unix epoch. */
export const DatasetSpec = z.strictObject({
  model: z.string(),
  /** Events that were stored later do not exist for the dataset. */
  asOf: z.int(),
  /** The first and the end of the moments of label events; null for those of the first and the last one. */
  from: z.int().nullable(),
  to: z.int().nullable(),
  knowledge: z.enum(KNOWLEDGE),
  seed: z.int().min(0).max(0xffff_ffff),
  /** The digest of the declaration. */
  recipe: z.string(),
});
export type DatasetSpec = z.output<typeof DatasetSpec>;

/** A digest of everything in the catalog that decides the rows: the label, the split, the columns and their features. */
export function recipeDigest(definition: ModelDefinition, recipe: DatasetDefinition): string {
  const { rows, measure, horizonDays, everyDays, warmUpDays, split, negatives, label } = recipe;
  const columns = columnsOf(definition, recipe).map(({ reference, ...column }) => ({
    ...column,
    feature: reference === undefined ? null : [versionOf(reference.feature).digest, reference.readName],
  }));
  const { validationDays, testDays } = split;
  return sha256HexNow(
    JSON.stringify([
      ...[DATASET_FORMAT, definition.name, rows, measure ?? null, horizonDays, everyDays, warmUpDays],
      ...[validationDays, testDays, negatives, label.eventType, label.code, columns],
    ]),
  );
}

/** The id of the dataset: the same one for the same rows. */
export function datasetId(spec: DatasetSpec): string {
  const { model, asOf, from, to, knowledge, seed, recipe } = spec;
  return sha256HexNow(JSON.stringify([model, asOf, from, to, knowledge, seed, recipe])).slice(0, 32);
}

/** The bounds in time of the parts of a dataset, in milliseconds since the Unix epoch. A part ends before its end. */
export const SplitBounds = z.strictObject({
  from: z.int(),
  validation: z.int(),
  test: z.int(),
  to: z.int(),
});
export type SplitBounds = Readonly<z.output<typeof SplitBounds>>;

export const SPLITS = ['train', 'validation', 'test'] as const;
export type Split = (typeof SPLITS)[number];

/** The bounds, for label events of `[from, to)`. */
export function splitBounds(
  { split, warmUpDays }: Pick<DatasetDefinition, 'split' | 'warmUpDays'>,
  { from, to }: { readonly from: number; readonly to: number },
): SplitBounds {
  const test = to - daysMs(split.testDays);
  const validation = test - daysMs(split.validationDays);
  return { from: from + daysMs(warmUpDays), validation, test, to };
}

/**
 * The split of a row, by its moment. A row whose label is decided after the next part begins belongs to none: with it,
 * training would know of the time by which it is judged.
 *
 * @param decidedAt the end of the time that decides the label.
 */
export function splitOf(at: number, decidedAt: number, bounds: SplitBounds): Split | undefined {
  const { from, validation, test, to } = bounds;
  if (at < from || decidedAt > to) return undefined;
  if (at >= test) return 'test';
  if (at >= validation) return decidedAt <= test ? 'validation' : undefined;
  return decidedAt <= validation ? 'train' : undefined;
}

/** The regular moments at which rows are made, the oldest first: the last one is a horizon before the end. */
export function momentsOf(
  { horizonDays, everyDays }: Pick<DatasetDefinition, 'horizonDays' | 'everyDays'>,
  { from, to }: SplitBounds,
): number[] {
  const [horizonMs, everyMs] = [daysMs(horizonDays), daysMs(everyDays)];
  const count = Math.floor((to - horizonMs - from) / everyMs) + 1;
  return Array.from(
    { length: Math.max(0, count) },
    (_, index) => to - horizonMs - (count - 1 - index) * everyMs,
  );
}

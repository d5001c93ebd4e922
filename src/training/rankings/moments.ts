import type { DatasetDefinition } from '../../define/dataset.ts';
import { daysMs } from '../../define/feature-window.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { momentsOf, type Split, type SplitBounds, splitOf } from '../datasets/spec.ts';

/** The moments of training that a run learns from, the newest: candidates are made and kept for each. */
const TRAINING_MOMENTS_MAX = 12;
/** The moments of validation and of the test that it is judged by, the newest of each. */
const JUDGED_MOMENTS_MAX = 8;
/** The most moments of a run. */
export const RANKING_MOMENTS_MAX = TRAINING_MOMENTS_MAX + 2 * JUDGED_MOMENTS_MAX;

/** A moment as of which rankings are asked for, and what its queries are for. */
export interface RankingMoment {
  readonly at: number;
  readonly split: Split;
}

/**
 * From when on label events decide the rows of a run: those of earlier moments would be made in vain. Milliseconds since the
 * Unix epoch; null for all of them.
 *
 * @param history the bounds of the label events; null without any.
 * @param asOf the moment of the snapshot: an event may be of a later moment.
 */
export function rankingFrom(
  { task, dataset }: Pick<ModelDefinition, 'task' | 'dataset'>,
  history: { readonly from: number; readonly to: number } | null,
  asOf: number,
): number | null {
  if (task !== 'ranking' || dataset === undefined || history === null) return null;
  const { split, horizonDays, everyDays, warmUpDays } = dataset;
  const days =
    split.testDays + split.validationDays + 2 * horizonDays + TRAINING_MOMENTS_MAX * everyDays + warmUpDays;
  const from = Math.min(history.to, asOf) - daysMs(days);
  return from > history.from ? from : null;
}

/** The moments of a run, the oldest first. */
export function rankingMoments(recipe: DatasetDefinition, bounds: SplitBounds): RankingMoment[] {
  const all = momentsOf(recipe, bounds).flatMap((at): RankingMoment[] => {
    const split = splitOf(at, at + daysMs(recipe.horizonDays), bounds);
    return split === undefined ? [] : [{ at, split }];
  });
  const newest = (wanted: Split, most: number) => all.filter(({ split }) => split === wanted).slice(-most);
  return [
    ...newest('train', TRAINING_MOMENTS_MAX),
    ...newest('validation', JUDGED_MOMENTS_MAX),
    ...newest('test', JUDGED_MOMENTS_MAX),
  ];
}

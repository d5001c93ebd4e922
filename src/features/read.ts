import { type FeatureDefinition, windowName } from '../define/feature.ts';
import type { FeatureStatus, FeatureValue, ItemCount } from '../define/feature-value.ts';
import { BUCKET_MS, type Cell } from './fold.ts';
import { daysRead, longestWindow } from './retention.ts';

/**
 * The values of one feature from its cells, as of `now`. A window of n days holds today and the n - 1 days
 * before it, in UTC, up to `now`. Only cells of the longest window count, for the status and the time, too: earlier
 * ones expire, and whether they are gone already must not show.
 */
export function readFeature(
  definition: FeatureDefinition,
  kept: readonly Cell[],
  now: number,
): Record<string, FeatureValue> {
  const today = Math.floor(now / BUCKET_MS);
  const { from, to } = daysRead(longestWindow(definition), now);
  const cells = kept.filter(({ bucket }) => bucket >= from && bucket <= to);
  const eventAt = cells.reduce<number | null>(
    (latest, { lastAt }) => Math.max(latest ?? lastAt, lastAt),
    null,
  );
  const status: FeatureStatus = cells.length === 0 ? 'NOT_FOUND' : 'PRESENT';
  if (definition.windowsDays.length === 0) {
    return { [definition.name]: { value: wholeValue(definition, cells, eventAt), status, eventAt } };
  }
  const values: Record<string, FeatureValue> = {};
  for (const days of definition.windowsDays) {
    let total = 0;
    for (const { bucket, amount } of cells) {
      if (bucket > today - days) total += amount;
    }
    values[windowName(definition.name, days)] = { value: total, status, eventAt };
  }
  return values;
}

function wholeValue(definition: FeatureDefinition, cells: readonly Cell[], eventAt: number | null) {
  switch (definition.aggregate) {
    case 'last':
      return eventAt;
    case 'items':
      return newestItems(cells, definition.limit);
    case 'count':
    case 'sum':
      return cells.reduce((total, { amount }) => total + amount, 0);
  }
}

/** Newest first; equal times in the order of the items' names, so that the answer is always the same. */
function newestItems(cells: readonly Cell[], limit: number): ItemCount[] {
  return cells
    .map(({ item, amount, lastAt }) => ({ item, count: amount, lastAt }))
    .sort((a, b) => b.lastAt - a.lastAt || (a.item < b.item ? -1 : 1))
    .slice(0, limit);
}

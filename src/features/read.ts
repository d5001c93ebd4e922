import { type FeatureDefinition, readNames, windowName } from '../define/feature.ts';
import type { FeatureRow, FeatureStatus, FeatureValue, ItemCount } from '../define/feature-value.ts';
import { NO_TILE, tiledWindow } from '../define/feature-window.ts';
import { mergedState, NO_STATE } from './algebra/state.ts';
import { valueOfState } from './cell-state.ts';
import type { Cell } from './fold.ts';
import { BUCKET_MS, tilesRead } from './retention.ts';
import { featureOfSlot, slotsOf } from './slots.ts';

/** The values of all these features of one key from its cells, as of `now`. */
export function readRow(
  features: readonly FeatureDefinition[],
  kept: readonly Cell[],
  now: number,
): FeatureRow {
  const cells = Map.groupBy(kept, ({ feature }) => featureOfSlot(feature));
  return Object.assign(
    {},
    ...features.map((definition) => readFeature(definition, cells.get(definition.name) ?? [], now)),
  );
}

/**
 * The values of one feature from the cells of its slots, as of `now`. A window of n tiles holds the tile of `now` and
 * the n - 1 before it; a window of days so holds today and the days before it, in UTC. Only cells of the longest window
 * of a slot count, for the status and the time, too: earlier ones expire, and whether they are gone already must not
 * show.
 */
export function readFeature(
  definition: FeatureDefinition,
  kept: readonly Cell[],
  now: number,
): Record<string, FeatureValue> {
  const slots = slotsOf(definition).map((slot) => {
    const { from, to } = tilesRead(slot, now);
    const cells = kept.filter(
      ({ feature, bucket }) => feature === slot.name && bucket >= from && bucket <= to,
    );
    return { ...slot, cells };
  });
  const cells = slots.flatMap((slot) => slot.cells);
  const eventAt = cells.reduce<number | null>(
    (latest, { lastAt }) => Math.max(latest ?? lastAt, lastAt),
    null,
  );
  const told = (value: FeatureValue['value']) => aged(definition, { value, eventAt }, cells.length, now);
  if (definition.windows.length === 0) {
    if (definition.windowsDays.length === 0)
      return { [definition.name]: told(wholeValue(definition, cells, eventAt)) };
    const today = Math.floor(now / BUCKET_MS);
    const values: Record<string, FeatureValue> = {};
    for (const days of definition.windowsDays)
      values[windowName(definition.name, days)] = told(totalOf(cells, today - days));
    return values;
  }
  const names = readNames(definition);
  return Object.fromEntries(
    definition.windows.flatMap((window, at) => {
      const tiled = tiledWindow(window);
      const slot = slots.find(({ tileMs }) => tileMs === tiled?.tileMs);
      if (tiled === undefined || slot === undefined) return [];
      const after = tiled.tileMs === NO_TILE ? -1 : Math.floor(now / tiled.tileMs) - tiled.tiles;
      const within = slot.cells.filter(({ bucket }) => bucket > after);
      return [[names[at], told(tiledValue(definition, within, eventAt, now))] as const];
    }),
  );
}

/** The values of a feature that is being built from history. */
export function notReady(definition: FeatureDefinition): Record<string, FeatureValue> {
  const waiting: FeatureValue = { value: null, status: 'NOT_READY', eventAt: null };
  return Object.fromEntries(readNames(definition).map((name) => [name, waiting]));
}

/** The value with its status. Neither an old value nor the one of a window without values passes for a present one. */
function aged(
  { ttlMs }: FeatureDefinition,
  { value, eventAt }: Pick<FeatureValue, 'value' | 'eventAt'>,
  cells: number,
  now: number,
): FeatureValue {
  const status: FeatureStatus = cells === 0 ? 'NOT_FOUND' : value === null ? 'NULL_VALUE' : 'PRESENT';
  return ttlMs === null ? { value, status, eventAt } : withinAge({ value, status, eventAt }, ttlMs, now);
}

/** The value, unless its newest event is older than `maxAgeMs`. */
export function withinAge(read: FeatureValue, maxAgeMs: number, now: number): FeatureValue {
  const isOld = read.eventAt !== null && now - read.eventAt > maxAgeMs;
  return isOld ? { value: null, status: 'OUTSIDE_MAX_AGE', eventAt: read.eventAt } : read;
}

function tiledValue(
  definition: FeatureDefinition,
  cells: readonly Cell[],
  eventAt: number | null,
  now: number,
): FeatureValue['value'] {
  switch (definition.aggregate) {
    case 'count':
      return totalOf(cells, Number.NEGATIVE_INFINITY);
    case 'since_last':
      return eventAt === null ? null : Math.max(0, now - eventAt) / 1_000;
    default: {
      const state = cells.reduce((merged, cell) => mergedState(merged, cell.state), NO_STATE);
      return valueOfState(definition, state, now);
    }
  }
}

function wholeValue(definition: FeatureDefinition, cells: readonly Cell[], eventAt: number | null) {
  switch (definition.aggregate) {
    case 'last':
      return eventAt;
    case 'items':
      return newestItems(cells, definition.limit);
    default:
      return totalOf(cells, Number.NEGATIVE_INFINITY);
  }
}

function totalOf(cells: readonly Cell[], after: number): number {
  return cells.reduce((total, { bucket, amount }) => (bucket > after ? total + amount : total), 0);
}

/** Newest first; equal times in the order of the items' names, so that the answer is always the same. */
function newestItems(cells: readonly Cell[], limit: number): ItemCount[] {
  return cells
    .map(({ item, amount, lastAt }) => ({ item, count: amount, lastAt }))
    .sort((a, b) => b.lastAt - a.lastAt || (a.item < b.item ? -1 : 1))
    .slice(0, limit);
}

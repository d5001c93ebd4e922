import { type FeatureShape, readNames, windowName } from '../define/feature.ts';
import type { FeatureRow, FeatureStatus, FeatureValue, ItemCount } from '../define/feature-value.ts';
import { NO_TILE, tiledWindow } from '../define/feature-window.ts';
import { MergedStates } from './cell-state.ts';
import type { Cell } from './fold.ts';
import { BUCKET_MS, tilesRead } from './retention.ts';
import { type Slot, slotsOf } from './slots.ts';

/** A slot with the windows that read its tiles, shortest first, and the place of each among the feature's names. */
interface ReadSlot extends Slot {
  readonly read: readonly { readonly tiles: number; readonly at: number }[];
}

const plans = new WeakMap<FeatureShape, readonly ReadSlot[]>();

/** The values of all these features of one key from its cells, as of `now`. */
export function readRow(features: readonly FeatureShape[], kept: readonly Cell[], now: number): FeatureRow {
  const cells = Map.groupBy(kept, ({ feature }) => feature);
  const row: Record<string, FeatureValue> = {};
  for (const definition of features) readInto(row, definition, cells, now);
  return row;
}

/**
 * The values of one feature from the cells of its slots, as of `now`. A window of n tiles holds the tile of `now` and
 * the n - 1 before it; a window of days so holds today and the days before it, in UTC. Only cells of the longest window
 * of a slot count, for the status and the time, too: earlier ones expire, and whether they are gone already must not
 * show.
 */
export function readFeature(
  definition: FeatureShape,
  kept: readonly Cell[],
  now: number,
): Record<string, FeatureValue> {
  return { ...readRow([definition], kept, now) };
}

function readInto(
  row: Record<string, FeatureValue>,
  definition: FeatureShape,
  bySlot: ReadonlyMap<string, readonly Cell[]>,
  now: number,
): void {
  let count = 0;
  let eventAt: number | null = null;
  const slots = planOf(definition).map((slot) => {
    const { from, to } = tilesRead(slot, now);
    const cells = (bySlot.get(slot.name) ?? []).filter(({ bucket }) => bucket >= from && bucket <= to);
    count += cells.length;
    for (const { lastAt } of cells) eventAt = Math.max(eventAt ?? lastAt, lastAt);
    return { slot, cells };
  });
  const told = (value: FeatureValue['value']) => aged(definition, { value, eventAt }, count, now);
  if (definition.windows.length > 0) {
    const values: FeatureValue['value'][] = [];
    for (const { slot, cells } of slots) readWindows(values, definition, slot, cells, { eventAt, now });
    for (const [at, name] of readNames(definition).entries()) row[name] = told(values[at] ?? null);
    return;
  }
  const cells = slots.flatMap((slot) => slot.cells);
  if (definition.windowsDays.length === 0) {
    row[definition.name] = told(wholeValue(definition, cells, eventAt));
    return;
  }
  const today = Math.floor(now / BUCKET_MS);
  for (const days of definition.windowsDays)
    row[windowName(definition.name, days)] = told(totalOf(cells, today - days));
}

/**
 * The values of the windows of one slot. The cells are merged from the newest on, and a window has its value as soon as
 * its last cell is merged; so a cell is merged once, however many windows it is in.
 */
function readWindows(
  values: FeatureValue['value'][],
  definition: FeatureShape,
  { tileMs, read }: ReadSlot,
  cells: readonly Cell[],
  { eventAt, now }: { readonly eventAt: number | null; readonly now: number },
): void {
  const newestFirst = cells.toSorted((a, b) => b.bucket - a.bucket);
  const merged = new MergedStates(definition);
  let total = 0;
  let next = 0;
  for (const { tiles, at } of read) {
    const after = tileMs === NO_TILE ? -1 : Math.floor(now / tileMs) - tiles;
    for (let cell = newestFirst[next]; cell !== undefined && cell.bucket > after; cell = newestFirst[next]) {
      total += cell.amount;
      merged.add(cell.state);
      next += 1;
    }
    values[at] = tiledValue(definition, { total, merged, eventAt, now });
  }
}

function planOf(definition: FeatureShape): readonly ReadSlot[] {
  const before = plans.get(definition);
  if (before !== undefined) return before;
  const tiled = definition.windows.map(tiledWindow);
  const plan = slotsOf(definition).map((slot) => ({
    ...slot,
    read: tiled
      .flatMap((window, at) => (window?.tileMs === slot.tileMs ? [{ tiles: window.tiles, at }] : []))
      .sort((a, b) => a.tiles - b.tiles),
  }));
  plans.set(definition, plan);
  return plan;
}

/** The values of a feature that is being built from history. */
export function notReady(definition: FeatureShape): Record<string, FeatureValue> {
  const waiting: FeatureValue = { value: null, status: 'NOT_READY', eventAt: null };
  return Object.fromEntries(readNames(definition).map((name) => [name, waiting]));
}

/** The value with its status. Neither an old value nor the one of a window without values passes for a present one. */
function aged(
  { ttlMs }: FeatureShape,
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
  { aggregate }: FeatureShape,
  {
    total,
    merged,
    eventAt,
    now,
  }: {
    readonly total: number;
    readonly merged: MergedStates;
    readonly eventAt: number | null;
    readonly now: number;
  },
): FeatureValue['value'] {
  switch (aggregate) {
    case 'count':
      return total;
    case 'since_last':
      return eventAt === null ? null : Math.max(0, now - eventAt) / 1_000;
    default:
      return merged.valueAt(now);
  }
}

function wholeValue(definition: FeatureShape, cells: readonly Cell[], eventAt: number | null) {
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

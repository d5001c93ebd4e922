import type { FeatureShape } from '../define/feature.ts';
import { DAY_MS, NO_TILE, type TiledWindow, tiledWindow } from '../define/feature-window.ts';
import { DECAY_STEPS } from './algebra/decay.ts';
import { longestWindow } from './retention.ts';

/**
 * The cells of a feature with tiles of one width. A feature has a slot for each width that its windows need, and the
 * longest window of that width decides how long cells are kept.
 */
export interface Slot extends TiledWindow {
  /** Unique within the entity. It is the feature's name for tiles of a day and for a feature without `windows`. */
  readonly name: string;
}

const known = new WeakMap<FeatureShape, readonly Slot[]>();

/** The slots of a feature, in the order of their widths. */
export function slotsOf(definition: FeatureShape): readonly Slot[] {
  const before = known.get(definition);
  if (before !== undefined) return before;
  const slots = makeSlots(definition);
  known.set(definition, slots);
  return slots;
}

/** The name of the feature that a slot belongs to. */
export function featureOfSlot(slot: string): string {
  const [feature = slot] = slot.split('@');
  return feature;
}

/** The tile of a slot that a moment is in; 0 for a slot of all time. */
export function tileOf({ tileMs }: Slot, at: number): number {
  return tileMs === NO_TILE ? 0 : Math.floor(at / tileMs);
}

/** The most rows of one key that a feature's windows need at a time, but for `items`, which has one for each item. */
export function rowsOfKeyMax(definition: FeatureShape): number {
  return slotsOf(definition).reduce((rows, { tiles }) => rows + Math.max(tiles, 1), 0);
}

/** The end of the shortest tile, or step of a decay, that `now` is in: until then no value changes without an event. */
export function endOfTiles(features: readonly FeatureShape[], now: number): number {
  const widths = features.flatMap((definition) => [
    ...slotsOf(definition).flatMap(({ tileMs }) => (tileMs === NO_TILE ? [] : [tileMs])),
    ...(definition.aggregate === 'decayed' ? [definition.halfLifeMs / DECAY_STEPS] : []),
  ]);
  return Math.min(...widths.map((width) => (Math.floor(now / width) + 1) * width));
}

function makeSlots(definition: FeatureShape): Slot[] {
  const { name, windows } = definition;
  if (windows.length === 0) {
    const days = longestWindow(definition);
    return [{ name, tileMs: days === 0 ? NO_TILE : DAY_MS, tiles: days }];
  }
  const tiled = windows.map(tiledWindow).filter((window) => window !== undefined);
  const widths = [...Map.groupBy(tiled, ({ tileMs }) => tileMs)].sort(([a], [b]) => a - b);
  return widths.map(([tileMs, of]) => ({
    // A name of a feature has no "@".
    name: tileMs === DAY_MS ? name : `${name}@${tileMs}`,
    tileMs,
    tiles: Math.max(...of.map(({ tiles }) => tiles)),
  }));
}

import type { FeatureDefinition } from '../catalog/define/feature.ts';

/** Width of a bucket. Windows are whole days, so a day is the coarsest bucket that serves them. */
export const BUCKET_MS = 86_400_000;

/** An event as features see it. */
export interface FoldableEvent {
  /** Unique per stored event: folding the same one twice changes nothing. */
  readonly seq: number;
  readonly type: string;
  readonly occurredAt: number;
  readonly data: unknown;
}

/**
 * The smallest unit of a feature's state: one key, one day, one item. Cells are merged by addition and
 * maximum alone, so the order of arrival does not matter.
 */
export interface Cell {
  readonly feature: string;
  readonly key: string;
  /** Number of the day since the Unix epoch; 0 for features without a window. */
  readonly bucket: number;
  /** Empty unless the aggregate is `items`. */
  readonly item: string;
  readonly amount: number;
  readonly lastAt: number;
}

/** The cells that one event adds to, among these features. */
export function cellsOf(features: readonly FeatureDefinition[], event: FoldableEvent): Cell[] {
  return features.flatMap((definition) => {
    if (definition.eventType !== event.type) return [];
    const contribution = definition.contribution(event.data);
    if (contribution === null) return [];
    const { key, amount, item } = contribution;
    const bucket = definition.windowsDays.length > 0 ? Math.floor(event.occurredAt / BUCKET_MS) : 0;
    return [{ feature: definition.name, key, bucket, item, amount, lastAt: event.occurredAt }];
  });
}

/** The keys of one entity that an event counts for. */
export function keysOf(features: readonly FeatureDefinition[], event: FoldableEvent): string[] {
  return [...new Set(cellsOf(features, event).map(({ key }) => key))];
}

/** Adds up cells of the same feature, key, bucket and item. */
export function mergeCells(cells: Iterable<Cell>): Cell[] {
  const merged = new Map<string, Cell>();
  for (const cell of cells) {
    const identity = JSON.stringify([cell.feature, cell.key, cell.bucket, cell.item]);
    const before = merged.get(identity);
    merged.set(
      identity,
      before === undefined
        ? cell
        : { ...cell, amount: before.amount + cell.amount, lastAt: Math.max(before.lastAt, cell.lastAt) },
    );
  }
  return [...merged.values()];
}

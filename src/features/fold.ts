import type { Contribution, FeatureDefinition } from '../define/feature.ts';

/** Width of a bucket, in milliseconds: a day, because windows are whole days. */
export const BUCKET_MS = 86_400_000;

/** The parts of an event that features use. */
export interface FoldableEvent {
  /** Unique per stored event: folding the same one twice changes nothing. */
  readonly seq: number;
  readonly type: string;
  readonly occurredAt: number;
  readonly data: unknown;
}

/**
 * The smallest unit of a feature's state: one key, one day, one item. Cells are merged by addition and maximum only,
 * so the order of arrival does not matter.
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

/** The contributions of one event, one for each of these features that it counts for. */
export function contributionsOf(
  features: readonly FeatureDefinition[],
  event: FoldableEvent,
): { readonly definition: FeatureDefinition; readonly contribution: Contribution }[] {
  // Parses the data once for all features of the event's type, because parsing is most of the cost of a fold.
  let judged: { readonly parse: FeatureDefinition['parse']; readonly parsed: unknown } | undefined;
  return features.flatMap((definition) => {
    const { parse } = definition;
    if (definition.eventType !== event.type) return [];
    if (judged?.parse !== parse) judged = { parse, parsed: parse(event.data) };
    const contribution = judged.parsed === null ? null : definition.contribution(judged.parsed);
    return contribution === null ? [] : [{ definition, contribution }];
  });
}

/** The cells of these features to which one event adds. */
export function cellsOf(features: readonly FeatureDefinition[], event: FoldableEvent): Cell[] {
  return contributionsOf(features, event).map(({ definition, contribution: { key, amount, item } }) => {
    const bucket = definition.windowsDays.length > 0 ? Math.floor(event.occurredAt / BUCKET_MS) : 0;
    return { feature: definition.name, key, bucket, item, amount, lastAt: event.occurredAt };
  });
}

/** The keys of one entity that an event counts for. */
export function keysOf(features: readonly FeatureDefinition[], event: FoldableEvent): string[] {
  return [...new Set(contributionsOf(features, event).map(({ contribution }) => contribution.key))];
}

/** Adds up cells of the same feature, key, bucket and item. */
export function mergeCells(cells: Iterable<Cell>): Cell[] {
  const merged = new Map<string, Cell>();
  for (const cell of cells) {
    const identity = JSON.stringify([cell.feature, cell.key, cell.bucket, cell.item]);
    const before = merged.get(identity);
    merged.set(identity, before === undefined ? cell : mergedCell(before, cell));
  }
  return [...merged.values()];
}

/** Two cells of the same feature, key, bucket and item as one. */
export function mergedCell(a: Cell, b: Cell): Cell {
  return { ...a, amount: a.amount + b.amount, lastAt: Math.max(a.lastAt, b.lastAt) };
}

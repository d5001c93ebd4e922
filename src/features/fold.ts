import type { Contribution, FeatureDefinition } from '../define/feature.ts';
import { mergedState } from './algebra/state.ts';
import { stateOf } from './cell-state.ts';
import { slotsOf, tileOf } from './slots.ts';

/** The parts of an event that features use. */
export interface FoldableEvent {
  /** Unique per stored event: folding the same one twice changes nothing. */
  readonly seq: number;
  readonly type: string;
  readonly occurredAt: number;
  readonly data: unknown;
  /** `traceparent` of what folds it, if its trace is recorded: a later read of its keys is linked with it. */
  readonly trace?: string;
}

/**
 * The smallest unit of a feature's state: one key, one tile, one item. Cells are merged by addition, by maximum and by
 * the algebra of their state, all of them commutative and associative, so the order of arrival does not matter.
 */
export interface Cell {
  /** The name of a slot of a feature. */
  readonly feature: string;
  readonly key: string;
  /** Number of the tile since the Unix epoch, a day for most features; 0 for features without a window. */
  readonly bucket: number;
  /** Empty unless the aggregate is `items`. */
  readonly item: string;
  readonly amount: number;
  readonly lastAt: number;
  /** The state of an aggregate of values; empty for counts, sums over days, times and items. */
  readonly state: string;
}

/** The contributions of one event: one for each of these features and each entity that it counts for. */
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
    const contributions = judged.parsed === null ? [] : definition.contributions(judged.parsed);
    return contributions.map((contribution) => ({ definition, contribution }));
  });
}

/**
 * The cells of these features to which one event adds.
 *
 * @param isWanted whether cells of this entity and key are made; all are by default.
 */
export function cellsOf(
  features: readonly FeatureDefinition[],
  event: FoldableEvent,
  isWanted: (entity: string, key: string) => boolean = () => true,
): Cell[] {
  return contributionsOf(features, event).flatMap(({ definition, contribution }) => {
    const { key, amount, item } = contribution;
    if (!isWanted(definition.entity.name, key)) return [];
    const state = stateOf(definition, contribution, event);
    return slotsOf(definition).map((slot) => ({
      feature: slot.name,
      key,
      bucket: tileOf(slot, event.occurredAt),
      item,
      amount,
      lastAt: event.occurredAt,
      state,
    }));
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
  return {
    ...a,
    amount: a.amount + b.amount,
    lastAt: Math.max(a.lastAt, b.lastAt),
    state: mergedState(a.state, b.state),
  };
}

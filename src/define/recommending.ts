import type { EntityDefinition } from './entity.ts';
import type { FeatureReference } from './feature.ts';
import type { ItemCount } from './feature-value.ts';

/** The most groups of columns that reasons are given for: 2^4 rows of the graph for each item. */
export const REASON_GROUPS_MAX = 4;
/** The most reasons that an item gets if the declaration does not say. */
export const REASONS_OF_ITEM = 2;

/** Items that are left out of the candidates, because an event has named them lately. */
export interface ItemExclusion<Owner extends EntityDefinition = EntityDefinition> {
  /** The items with the time of each one's newest event. */
  readonly items: FeatureReference<Owner, readonly ItemCount[]>;
  /** How long after its newest event an item is left out, in days of 24 hours. */
  readonly withinDays: number;
}

/** How many items of one group, such as a category, an answer has at most. */
export interface ItemDiversity {
  readonly max: number;
}

/** Columns of the graph's input that are one reason together. */
export interface ReasonGroup<Column extends string = string> {
  readonly columns: readonly Column[];
  /** What people read: `Often bought with what you bought`. */
  readonly text: string;
}

/** The reasons that an item is recommended for. */
export interface ItemReasons<Column extends string = string> {
  /** By name. A column that is in no group is the same in all rows, so it is no reason. */
  readonly groups: Readonly<Record<string, ReasonGroup<Column>>>;
  /** A column's value for an item that the reason does not hold for; 0 if it is not named. */
  readonly baseline?: Readonly<Partial<Record<Column, number>>>;
  /** The most reasons of an item; 2 by default. */
  readonly max?: number;
}

/** What a ranking declares beside its scores. */
export interface Recommending<
  Owner extends EntityDefinition = EntityDefinition,
  Column extends string = string,
> {
  readonly exclude?: ItemExclusion<Owner>;
  /** Needs `groupOf` of the candidates. */
  readonly diversity?: ItemDiversity;
  readonly reasons?: ItemReasons<Column>;
}

import type { EntityDefinition } from './entity.ts';
import type { EventDefinition } from './event.ts';
import type { FeatureDefinition, FeatureReference } from './feature.ts';
import { type Declaration, define, type EventValue } from './feature-definition.ts';

/**
 * Which rows a dataset has.
 * - `events`: one for each label event. Its features are those of before the event, and its label is a value of the event.
 * - `periods`: one for each entity at regular moments. Its label is what the entity's events come to in the time after.
 * - `items`: one for each item that an entity has an event with in the time after a regular moment, and sampled rows of
 *   items without one.
 */
export type DatasetRows = 'events' | 'periods' | 'items';

/** What the label of a period is: whether there was an event, how many there were, or the sum of their values. */
export type PeriodMeasure = 'any' | 'count' | 'sum';

/** The newest rows, which a model is chosen and judged by. The rows before them are for training. */
export interface DatasetSplit {
  readonly validationDays: number;
  readonly testDays: number;
}

/** How rows with labels are made from history, to train a model. */
export interface DatasetDefinition<Owner extends EntityDefinition = EntityDefinition> {
  readonly rows: DatasetRows;
  readonly entity: Owner;
  /** What a label event says of which entity and item. It is no feature: no shard folds it. */
  readonly label: FeatureDefinition;
  readonly measure: PeriodMeasure | undefined;
  /** How long after its moment the label of a row is decided; 0 for rows of events. */
  readonly horizonDays: number;
  /** The time between two moments; 0 for rows of events. */
  readonly everyDays: number;
  /** The history before the first row, so that its features have something to count. */
  readonly warmUpDays: number;
  readonly split: DatasetSplit;
  /** The sampled rows of an entity and a moment, at most; 0 unless rows are of items. */
  readonly negatives: number;
  /** Features of the items, by the names of their columns. */
  readonly itemFeatures: Readonly<Record<string, FeatureReference>>;
}

interface CommonDeclaration<Data, Owner extends EntityDefinition>
  extends Pick<Declaration<Data, Owner>, 'event' | 'key' | 'version'> {
  entity: Owner;
  split: DatasetSplit;
  /** The default is 28. */
  warmUpDays?: number;
}

interface MomentsDeclaration {
  horizonDays: number;
  /** The default is `horizonDays`, so that the times of two labels do not overlap. */
  everyDays?: number;
}

const WARM_UP_DAYS = 28;

/** Declares the dataset of a model. */
export const dataset = {
  /** A row for each label event. An event whose `value` is null has no row. */
  ofEvents: <Data, Owner extends EntityDefinition>(
    declaration: CommonDeclaration<Data, Owner> & { value: (data: Data) => EventValue },
  ): DatasetDefinition<Owner> => ({
    ...base(declaration),
    ...{ rows: 'events', measure: undefined, horizonDays: 0, everyDays: 0 },
    label: labelOf(declaration, { value: declaration.value }),
  }),

  /** A row for each entity that had a label event before, every so many days. */
  ofPeriods: <Data, Owner extends EntityDefinition>(
    declaration: CommonDeclaration<Data, Owner> &
      MomentsDeclaration &
      ({ measure: 'any' | 'count' } | { measure: 'sum'; value: (data: Data) => number | null }),
  ): DatasetDefinition<Owner> => ({
    ...base(declaration),
    ...moments(declaration),
    ...{ rows: 'periods', measure: declaration.measure },
    label: labelOf(declaration, declaration.measure === 'sum' ? { value: declaration.value } : {}),
  }),

  /** Rows of an entity and an item, every so many days, for each entity with an event in the time after. */
  ofItems: <
    Data,
    Owner extends EntityDefinition,
    const Features extends Readonly<Record<string, FeatureReference>> = Record<never, never>,
  >(
    declaration: CommonDeclaration<Data, Owner> &
      MomentsDeclaration & {
        /** The key of the item, as the canonical text of its entity has it; null for an event without one. */
        item: (data: Data) => string | null;
        negatives: number;
        itemFeatures?: Features;
      },
  ): DatasetDefinition<Owner> => ({
    ...base(declaration),
    ...moments(declaration),
    ...{ rows: 'items', measure: undefined, negatives: declaration.negatives },
    label: labelOf(declaration, { value: declaration.item }),
    itemFeatures: declaration.itemFeatures ?? {},
  }),
};

function base<Data, Owner extends EntityDefinition>({
  entity,
  split,
  warmUpDays = WARM_UP_DAYS,
}: CommonDeclaration<Data, Owner>) {
  return { entity, split, warmUpDays, negatives: 0, itemFeatures: {} };
}

function moments({ horizonDays, everyDays = horizonDays }: MomentsDeclaration) {
  return { horizonDays, everyDays };
}

function labelOf<Data, Owner extends EntityDefinition>(
  { entity, event, key, version }: CommonDeclaration<Data, Owner>,
  measure: { readonly value?: (data: Data) => EventValue },
): FeatureDefinition {
  const named = { name: 'label', entity, event: event as EventDefinition<Data>, key };
  return define(version === undefined ? named : { ...named, version }, {
    aggregate: 'last_value',
    ...measure,
  });
}

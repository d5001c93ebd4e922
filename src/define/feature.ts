import type { EntityDefinition } from './entity.ts';
import { type AggregateFeature, aggregates, type Tiles, tiledCount, tiledSum } from './feature-aggregate.ts';
import { column } from './feature-column.ts';
import {
  type Declaration,
  define,
  type FeatureDefinition,
  type FeatureReference,
  type Numbers,
  reference,
  windowName,
} from './feature-definition.ts';
import { derived } from './feature-derived.ts';
import type { ItemCount, WindowedRow } from './feature-value.ts';
import { DAY_MS, type Window } from './feature-window.ts';
import { defining } from './mistake.ts';

export type {
  Aggregate,
  Contribution,
  FeatureDefinition,
  FeatureReference,
  FeatureShape,
} from './feature-definition.ts';
export { readNames, windowName } from './feature-definition.ts';

/** A count or a sum. */
export interface AmountFeature<
  Owner extends EntityDefinition,
  Name extends string,
  Days extends readonly number[],
> extends FeatureDefinition<WindowedRow<Name, Days, number>> {
  readonly entity: Owner;
  /** The amount within one of the declared windows. */
  window(days: Days[number]): FeatureReference<Owner, number>;
  /** The amount over all time, for a feature without windows. */
  allTime(): FeatureReference<Owner, number>;
}

/** The time of the last event. */
export interface LastFeature<Owner extends EntityDefinition, Name extends string>
  extends FeatureDefinition<WindowedRow<Name, [], number | null>> {
  readonly entity: Owner;
  /** Milliseconds since the Unix epoch. An FP32 tensor rounds them to about two minutes. */
  at(): FeatureReference<Owner, number | null>;
  /** Days, with fractions, from the last event to the prediction. */
  ageDays(): FeatureReference<Owner, number | null>;
}

/** The items of an entity's events. */
export interface ItemsFeature<Owner extends EntityDefinition, Name extends string>
  extends FeatureDefinition<WindowedRow<Name, [], readonly ItemCount[]>> {
  readonly entity: Owner;
  /** Newest first. */
  newest(): FeatureReference<Owner, readonly ItemCount[]>;
}

interface Windows<Days extends readonly number[]> {
  windowsDays: Days;
}

/** Declares features over one event type, or over a column of the entity's table. */
export const feature = {
  ...aggregates,
  ...derived,
  column,
  count,
  sum,

  last: <Data, Owner extends EntityDefinition, const Name extends string>(
    declaration: Declaration<Data, Owner, Name>,
  ): LastFeature<Owner, Name> => {
    return defining<LastFeature<Owner, Name>>({ kind: 'feature', name: declaration.name }, () => {
      const definition = define<Data, Owner, WindowedRow<Name, [], number | null>>(declaration, {
        aggregate: 'last',
      });
      const { entity } = declaration;
      const at = (stored: unknown): number | null => (typeof stored === 'number' ? stored : null);
      const last: LastFeature<Owner, Name> = {
        ...definition,
        entity,
        at: () => reference(entity, last, definition.name, true, at),
        ageDays: () =>
          reference(entity, last, definition.name, false, (stored, now) => {
            const happenedAt = at(stored);
            return happenedAt === null ? null : Math.max(0, now - happenedAt) / DAY_MS;
          }),
      };
      return last;
    });
  },

  items: <Data, Owner extends EntityDefinition, const Name extends string>(
    declaration: Declaration<Data, Owner, Name> & { item: (data: Data) => string; limit: number },
  ): ItemsFeature<Owner, Name> => {
    return defining<ItemsFeature<Owner, Name>>({ kind: 'feature', name: declaration.name }, () => {
      const { entity, item, limit } = declaration;
      const definition = define<Data, Owner, WindowedRow<Name, [], readonly ItemCount[]>>(declaration, {
        aggregate: 'items',
        item,
        limit,
      });
      const items: ItemsFeature<Owner, Name> = {
        ...definition,
        entity,
        newest: () =>
          reference(entity, items, definition.name, false, (stored) =>
            Array.isArray(stored) ? stored.filter(isItemCount) : [],
          ),
      };
      return items;
    });
  },
};

/** The number of events, over days or over windows of any length. */
function count<
  Data,
  Owner extends EntityDefinition,
  const Name extends string,
  const Days extends readonly number[],
>(declaration: Declaration<Data, Owner, Name> & Windows<Days>): AmountFeature<Owner, Name, Days>;
function count<
  Data,
  Owner extends EntityDefinition,
  const Name extends string,
  const Spans extends readonly Window[],
>(declaration: Declaration<Data, Owner, Name> & Tiles<Spans>): AggregateFeature<Owner, Name, Spans, number>;
function count<Data, Owner extends EntityDefinition, Name extends string>(
  declaration: Declaration<Data, Owner, Name> & (Windows<readonly number[]> | Tiles<readonly Window[]>),
): FeatureDefinition {
  if ('windows' in declaration) return tiledCount(declaration);
  const { name, windowsDays } = declaration;
  return defining<AmountFeature<Owner, Name, readonly number[]>>({ kind: 'feature', name }, () =>
    amount(declaration, define(declaration, { aggregate: 'count', windowsDays })),
  );
}

/**
 * The sum of a number of each event: of safe integers over days, or an exact sum of any kind of numbers over windows of
 * any length.
 */
function sum<
  Data,
  Owner extends EntityDefinition,
  const Name extends string,
  const Days extends readonly number[],
>(
  declaration: Declaration<Data, Owner, Name> & Windows<Days> & { value: (data: Data) => number },
): AmountFeature<Owner, Name, Days>;
function sum<
  Data,
  Owner extends EntityDefinition,
  const Name extends string,
  const Spans extends readonly Window[],
>(
  declaration: Declaration<Data, Owner, Name> &
    Tiles<Spans> & { value: (data: Data) => number | string | null; numbers?: Numbers },
): AggregateFeature<Owner, Name, Spans, number>;
function sum<Data, Owner extends EntityDefinition, Name extends string>(
  declaration: Declaration<Data, Owner, Name> &
    (
      | (Windows<readonly number[]> & { value: (data: Data) => number })
      | (Tiles<readonly Window[]> & {
          value: (data: Data) => number | string | null;
          numbers?: Numbers;
        })
    ),
): FeatureDefinition {
  if ('windows' in declaration) return tiledSum(declaration);
  const { name, windowsDays, value } = declaration;
  return defining<AmountFeature<Owner, Name, readonly number[]>>({ kind: 'feature', name }, () =>
    amount(declaration, define(declaration, { aggregate: 'sum', windowsDays, amount: value })),
  );
}

function amount<Owner extends EntityDefinition, Name extends string, Days extends readonly number[]>(
  { entity }: { readonly entity: Owner; readonly name: Name },
  definition: FeatureDefinition<WindowedRow<Name, Days, number>>,
): AmountFeature<Owner, Name, Days> {
  // The feature store has 0 if no event has contributed yet.
  const read = (stored: unknown): number => (typeof stored === 'number' ? stored : 0);
  const amounts: AmountFeature<Owner, Name, Days> = {
    ...definition,
    entity,
    window: (days) => reference(entity, amounts, windowName(definition.name, days), true, read),
    allTime: () => reference(entity, amounts, definition.name, true, read),
  };
  return amounts;
}

function isItemCount(value: unknown): value is ItemCount {
  if (typeof value !== 'object' || value === null) return false;
  const { item, count, lastAt } = value as Readonly<Record<string, unknown>>;
  return typeof item === 'string' && typeof count === 'number' && typeof lastAt === 'number';
}

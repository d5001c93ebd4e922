import type { EntityDefinition } from './entity.ts';
import type { EventDefinition } from './event.ts';
import type { FeatureRow, ItemCount, WindowedRow } from './feature-value.ts';
import { defining } from './mistake.ts';

/**
 * How events are aggregated into a value. All four aggregates are commutative and keep exact integers, so that the
 * result does not depend on the order of arrival.
 * - `count`: the number of events in the window;
 * - `sum`: the sum of a safe integer from each event (money in minor units);
 * - `last`: the time of the newest event, milliseconds since the Unix epoch;
 * - `items`: the count and the last time of each item, newest first, at most `limit` items.
 */
export type Aggregate = 'count' | 'sum' | 'last' | 'items';

/** What one event adds to one feature of one entity. */
export interface Contribution {
  /** The canonical text of the entity's key. */
  readonly key: string;
  /** 1 for `count`, `last` and `items`. */
  readonly amount: number;
  /** Empty unless the aggregate is `items`. */
  readonly item: string;
}

/** `Row` is the type of a read, by read names. It exists for types only; no value has it. */
export interface FeatureDefinition<Row extends FeatureRow = FeatureRow> {
  readonly kind: 'feature';
  readonly row?: Row;
  /** Unique within its entity; a windowed feature is read as `<name>_<days>d`. */
  readonly name: string;
  readonly entity: EntityDefinition;
  readonly eventType: string;
  readonly aggregate: Aggregate;
  /** Lengths of the windows in days, ending now; empty for all time. */
  readonly windowsDays: readonly number[];
  /** How many items are read, newest first; 0 unless the aggregate is `items`. */
  readonly limit: number;
  /** The event's data if it satisfies the contract, else null. All features of one event type share this function. */
  readonly parse: (data: unknown) => unknown;
  /** The contribution of an event, from the result of `parse`; null if it contributes to no entity. */
  readonly contribution: (parsed: unknown) => Contribution | null;
}

/**
 * One value of a feature, as models refer to it. Models depend on references only, so a value that is computed from
 * several features can become a reference without a change to the models.
 */
export interface FeatureReference<Owner extends EntityDefinition = EntityDefinition, Value = unknown> {
  readonly kind: 'feature-reference';
  readonly entity: Owner;
  readonly feature: FeatureDefinition;
  /** The name of the value in the feature store: `spend_minor_90d`. */
  readonly readName: string;
  /** Whether the value is always a whole number. */
  readonly isWhole: boolean;
  /**
   * Converts the feature store's value under `readName` (undefined if it has none) into the value for a model.
   *
   * @param now milliseconds since the Unix epoch.
   */
  readonly read: (stored: unknown, now: number) => Value;
}

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

interface Declaration<Data, Owner extends EntityDefinition, Name extends string = string> {
  name: Name;
  entity: Owner;
  event: EventDefinition<Data>;
  /** The entity that this event contributes to, or `null` for none. */
  key: (data: Data) => Parameters<Owner['row']>[0] | null;
}

interface Windows<Days extends readonly number[]> {
  windowsDays: Days;
}

const DAY_MS = 86_400_000;

/** Declares features over one event type. */
export const feature = {
  count: <
    Data,
    Owner extends EntityDefinition,
    const Name extends string,
    const Days extends readonly number[],
  >(
    declaration: Declaration<Data, Owner, Name> & Windows<Days>,
  ): AmountFeature<Owner, Name, Days> =>
    defining<AmountFeature<Owner, Name, Days>>({ kind: 'feature', name: declaration.name }, () =>
      amount(
        declaration,
        define(declaration, 'count', declaration.windowsDays, () => ({ amount: 1, item: '' })),
      ),
    ),

  sum: <
    Data,
    Owner extends EntityDefinition,
    const Name extends string,
    const Days extends readonly number[],
  >(
    declaration: Declaration<Data, Owner, Name> & Windows<Days> & { value: (data: Data) => number },
  ): AmountFeature<Owner, Name, Days> =>
    defining<AmountFeature<Owner, Name, Days>>({ kind: 'feature', name: declaration.name }, () =>
      amount(
        declaration,
        define(declaration, 'sum', declaration.windowsDays, (data) => ({
          amount: declaration.value(data),
          item: '',
        })),
      ),
    ),

  last: <Data, Owner extends EntityDefinition, const Name extends string>(
    declaration: Declaration<Data, Owner, Name>,
  ): LastFeature<Owner, Name> => {
    return defining<LastFeature<Owner, Name>>({ kind: 'feature', name: declaration.name }, () => {
      const definition = define<Data, Owner, WindowedRow<Name, [], number | null>>(
        declaration,
        'last',
        [],
        () => ({ amount: 1, item: '' }),
      );
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
      const definition = define<Data, Owner, WindowedRow<Name, [], readonly ItemCount[]>>(
        declaration,
        'items',
        [],
        (data) => ({ amount: 1, item: item(data) }),
        limit,
      );
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

/** The names under which a feature is read: one for each window, or its own name without windows. */
export function readNames({ name, windowsDays }: FeatureDefinition): string[] {
  return windowsDays.length === 0 ? [name] : windowsDays.map((days) => windowName(name, days));
}

/** The name under which one window of a feature is read. */
export function windowName(feature: string, days: number): string {
  return `${feature}_${days}d`;
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

function reference<Owner extends EntityDefinition, Value>(
  entity: Owner,
  of: FeatureDefinition,
  readName: string,
  isWhole: boolean,
  read: (stored: unknown, now: number) => Value,
): FeatureReference<Owner, Value> {
  return { kind: 'feature-reference', entity, feature: of, readName, isWhole, read };
}

function isItemCount(value: unknown): value is ItemCount {
  if (typeof value !== 'object' || value === null) return false;
  const { item, count, lastAt } = value as Readonly<Record<string, unknown>>;
  return typeof item === 'string' && typeof count === 'number' && typeof lastAt === 'number';
}

function define<Data, Owner extends EntityDefinition, Row extends FeatureRow>(
  declaration: Declaration<Data, Owner>,
  aggregate: Aggregate,
  windowsDays: readonly number[],
  measure: (data: Data) => { amount: number; item: string },
  limit = 0,
): FeatureDefinition<Row> {
  const { name, entity, event } = declaration;
  return {
    kind: 'feature',
    name,
    entity,
    eventType: event.type,
    aggregate,
    windowsDays,
    limit,
    parse: event.parse,
    contribution: (parsed) => {
      // The value comes from this event's own `parse`, because no other result is passed here.
      const data = parsed as Data;
      const key = declaration.key(data);
      return key === null ? null : { key: entity.key.textOf(key), ...measure(data) };
    },
  };
}

import { getTableColumns } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { ColumnOf, EntityDefinition } from './entity.ts';
import {
  type ColumnKind,
  type Contribution,
  type EventValue,
  type FeatureDefinition,
  type FeatureReference,
  type FeatureSource,
  reference,
} from './feature-definition.ts';
import type { FeatureValue } from './feature-value.ts';
import { DeclarationMistake, defining } from './mistake.ts';
import { parseRowChange, type RowChange, rowChangeType } from './row-change.ts';

/** The most characters of a text. A longer one is null: it would be a part of every row and answer. */
export const COLUMN_CHARACTERS_MAX = 256;

/** The type of a column's values as a feature has them. */
type ValueOf<Column> = Column extends {
  readonly _: { readonly columnType: infer Type; readonly data: infer Data };
}
  ? Type extends `PgTimestamp${string}` | `PgDate${string}` | `PgNumeric${string}` | `PgBigInt${string}`
    ? number
    : Data extends EventValue
      ? Data
      : never
  : never;

/** A column of an entity's table. */
export interface ColumnFeature<Owner extends EntityDefinition, Name extends string, Value extends EventValue>
  extends FeatureDefinition<{ readonly [Read in Name]: FeatureValue<Value | null> }> {
  readonly entity: Owner;
  readonly column: FeatureSource;
  /** The value; null if the row has none, or if it is not known. */
  value(): FeatureReference<Owner, Value | null>;
  /** 1 if the column has this value, 0 if it has another one; null as for `value`. It encodes a category for a model. */
  is(value: Value & {}): FeatureReference<Owner, number | null>;
}

/**
 * Declares a feature that is a column of the entity's table. A change of the row by any writer is folded as an event is,
 * so the value of each moment since the capture began is known; before that it is unknown.
 *
 * @throws DeclarationMistake for a column of another table, or of a type that no feature has.
 */
export function column<
  Owner extends EntityDefinition,
  const Name extends string,
  Column extends ColumnOf<Owner['table']>,
>(declaration: { name: Name; entity: Owner; column: Column }): ColumnFeature<Owner, Name, ValueOf<Column>> {
  type Value = ValueOf<Column>;
  const { name, entity } = declaration;
  return defining<ColumnFeature<Owner, Name, Value>>({ kind: 'feature', name }, () => {
    // `ColumnOf` says that it is a column of the table; drizzle's types do not show that it is a column of Postgres.
    const source = sourceOf(entity, declaration.column as unknown as PgColumn);
    const { property, kind } = source;
    // The store returns what `featureValue` made of a value of this column.
    const read = (stored: unknown) => (stored ?? null) as Value | null;
    const made: ColumnFeature<Owner, Name, Value> = {
      kind: 'feature',
      name,
      entity,
      eventType: rowChangeType(entity),
      aggregate: 'column',
      windowsDays: [],
      windows: ['lifetime'],
      numbers: 'float',
      halfLifeMs: 0,
      ttlMs: null,
      limit: 0,
      // Another column, or another reading of it, is another feature.
      code: `column ${property}: ${kind}`,
      keyCode: '',
      column: source,
      parse: parseRowChange,
      contributions: (parsed) => contributionsOf(source, parsed as RowChange),
      value: () => reference(entity, made, name, kind === 'integer', read),
      is: (value) =>
        reference(entity, made, name, true, (stored) => {
          const known = read(stored);
          return known === null ? null : Number(known === value);
        }),
    };
    return made;
  });
}

/** A change from before the column was read has no value of it, and contributes nothing. */
function contributionsOf({ property, kind }: FeatureSource, { key, row }: RowChange): Contribution[] {
  if (row !== null && !(property in row)) return [];
  // It counts nothing, so that a cell is the same without the changes that a later one covers.
  return [{ key, amount: 0, item: '', value: row === null ? null : featureValue(kind, row[property]) }];
}

/** A value of a change as the feature has it; null for one that it cannot have, such as NaN or an infinity. */
function featureValue(kind: ColumnKind, stored: unknown): EventValue {
  switch (kind) {
    case 'text':
      return typeof stored === 'string' && stored.length <= COLUMN_CHARACTERS_MAX ? stored : null;
    case 'boolean':
      return typeof stored === 'boolean' ? stored : null;
    case 'integer':
      return typeof stored === 'number' && Number.isSafeInteger(stored) ? stored : null;
    case 'number':
    case 'moment':
      return typeof stored === 'number' && Number.isFinite(stored) ? stored : null;
  }
}

function sourceOf({ name, table, key }: EntityDefinition, wanted: PgColumn): FeatureSource {
  const [property] = Object.entries(getTableColumns(table)).find(([, own]) => own === wanted) ?? [];
  if (property === undefined)
    throw new DeclarationMistake(
      `Its column "${wanted.name}" is not of the table of "${name}".`,
      'Name a column of the entity, e.g. `column: stations.capacity`.',
    );
  if (key.columns.some((part) => part.column === wanted))
    throw new DeclarationMistake(
      `Its column "${wanted.name}" is a part of the key of "${name}".`,
      'A reader has the key already: name another column.',
    );
  const kind = kindOf(wanted);
  if (kind === undefined)
    throw new DeclarationMistake(
      `Its column "${wanted.name}" is ${wanted.getSQLType()}.`,
      'A feature takes texts, enums, uuids, numbers, booleans, dates and timestamps.',
    );
  return { property, column: wanted, kind };
}

function kindOf(of: PgColumn): ColumnKind | undefined {
  const type = of.getSQLType();
  if (of.columnType === 'PgEnumColumn' || type === 'uuid' || /^(text|(var)?char(\(\d+\))?)$/.test(type))
    return 'text';
  if (/^((small|big)?int|integer|(small|big)?serial)$/.test(type)) return 'integer';
  if (/^(real|double precision|numeric(\(.*\))?)$/.test(type)) return 'number';
  if (type === 'boolean') return 'boolean';
  return /^(date|timestamp)/.test(type) ? 'moment' : undefined;
}

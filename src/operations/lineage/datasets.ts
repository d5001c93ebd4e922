import { getTableColumns, getTableName } from 'drizzle-orm';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import type { Catalog } from '../../define/catalog.ts';
import type { EventDefinition } from '../../define/event.ts';
import { type FeatureDefinition, readNames } from '../../define/feature.ts';
import { answerSchema, type ModelDefinition } from '../../define/model.ts';
import { jsonTypeOf } from '../../define/model-input.ts';
import type { Field, RunDataset } from '../../pipeline/lineage/open-lineage.ts';
import { lineageName } from '../../storage/postgres/lineage-events.ts';
import { events, quarantine } from '../../storage/postgres/schema.ts';

/** The namespace of jobs, and of datasets that are not in a database. */
export const LINEAGE_NAMESPACE = 'millrace';

/** The datasets of a deployment by their short names, which paths and the walk use. */
export type Datasets = ReadonlyMap<string, RunDataset>;

export const datasetNames = {
  eventType: (type: string) => `event-types.${type}`,
  features: (entity: string) => `features.${entity}`,
  model: (model: string) => `models.${model}`,
  predictions: (model: string) => `predictions.${model}`,
  trained: (id: string) => `datasets.${id}`,
  table: (table: PgTable) => lineageName(table),
  events: lineageName(events),
  quarantine: lineageName(quarantine),
};

/**
 * Every dataset that runs read or write, from the catalog: event types, tables, features, models and predictions.
 * Tables have OpenLineage's names for Postgres: `postgres://host:port` and `database.schema.table`.
 *
 * @param databaseUrl the datasets' names omit its user and password.
 */
export function datasetsOf(catalog: Catalog, databaseUrl: string): Datasets {
  const all = new Map<string, RunDataset>();
  const ours = (name: string, fields: readonly Field[]) =>
    all.set(name, { namespace: LINEAGE_NAMESPACE, name, fields });
  const { hostname, port, pathname } = new URL(databaseUrl);
  const namespace = `postgres://${hostname}:${port || 5432}`;
  const tables = [events, quarantine, ...[...catalog.histories, ...catalog.entities].map((of) => of.table)];
  for (const table of tables) {
    const { schema = 'public' } = getTableConfig(table);
    const fields = Object.values(getTableColumns(table)).map((column) => ({
      name: column.name,
      type: column.getSQLType(),
    }));
    const name = `${pathname.slice(1)}.${schema}.${getTableName(table)}`;
    all.set(lineageName(table), { namespace, name, fields });
  }
  for (const definition of catalog.events)
    ours(datasetNames.eventType(definition.type), fieldsOfType(definition));
  for (const [entity, features] of Map.groupBy(catalog.features, (definition) => definition.entity.name)) {
    const fields = features.flatMap((definition) => {
      const type = lineageTypeOf(definition);
      return readNames(definition).map((name) => ({ name, type }));
    });
    ours(datasetNames.features(entity), [{ name: entity, type: 'text' }, ...fields]);
  }
  for (const model of catalog.models) {
    const { inputs, answer } = fieldsOfModel(model);
    ours(datasetNames.model(model.name), inputs);
    ours(datasetNames.predictions(model.name), [{ name: model.entity.name, type: 'text' }, ...answer]);
  }
  return all;
}

/** The columns that a model reads, and the fields that it answers for an entity. */
function fieldsOfModel(model: ModelDefinition): { inputs: Field[]; answer: Field[] } {
  if (model.task === 'ranking') {
    return {
      inputs: model.columns.map((name) => ({ name, type: 'float' })),
      answer: [
        { name: model.itemEntity.name, type: 'text' },
        { name: 'score', type: 'float' },
      ],
    };
  }
  return {
    inputs: Object.values(model.inputs).flatMap(({ datatype, columns }) =>
      Object.keys(columns).map((name) => ({ name, type: datatype })),
    ),
    answer: Object.entries(answerSchema(model).shape).map(([name, schema]) => ({
      name,
      type: jsonTypeOf(schema) ?? 'any',
    })),
  };
}

/** The members of a type's data, as its JSON Schema names them. */
function fieldsOfType({ jsonSchema }: EventDefinition): Field[] {
  const schema = jsonSchema();
  const properties: unknown =
    typeof schema === 'object' && schema !== null ? Reflect.get(schema, 'properties') : undefined;
  return Object.entries(properties ?? {}).map(([name, property]) => ({ name, type: typeOf(property) }));
}

function typeOf(schema: unknown): string {
  if (typeof schema !== 'object' || schema === null) return 'any';
  const type: unknown = Reflect.get(schema, 'type');
  if (typeof type === 'string') return type;
  const either: unknown = Reflect.get(schema, 'anyOf');
  return Array.isArray(either) ? either.map(typeOf).join('|') : 'any';
}

/** The type of a feature's values in a data set. */
function lineageTypeOf({ aggregate, column, windows, numbers }: FeatureDefinition): string {
  switch (aggregate) {
    case 'items':
    case 'most_frequent':
      return 'array';
    case 'count':
    case 'distinct':
    case 'last':
      return 'integer';
    case 'sum':
      return windows.length === 0 || numbers === 'integer' ? 'integer' : 'double';
    case 'min':
    case 'max':
      return numbers === 'integer' ? 'integer' : 'double';
    case 'mean':
    case 'variance':
    case 'decayed':
    case 'since_last':
      return 'double';
    case 'first_value':
    case 'last_value':
      return 'any';
    case 'column':
      return column?.column.getSQLType() ?? 'any';
  }
}

import type { Catalog } from '../../define/catalog.ts';
import type { EntityDefinition } from '../../define/entity.ts';
import type { FeatureDefinition } from '../../define/feature.ts';
import { type ModelDefinition, referencesOf } from '../../define/model.ts';
import { featureTag, groupOf, partOf } from '../../features/groups.ts';
import { modelTag } from '../../inference/names.ts';
import { type ImpactGraph, idOf } from './graph.ts';
import { columnsOf, tableName, tablesOf } from './tables.ts';

/** What declarations say by themselves: tables, entities, histories, features, models and event types. */
export function addDeclared(graph: ImpactGraph, catalog: Catalog): void {
  for (const [name, table] of tablesOf(catalog)) {
    const id = graph.node('table', name);
    for (const column of Object.values(columnsOf(table)))
      graph.edge(id, 'part of', graph.node('column', `${name}.${column.name}`, column.getSQLType()));
  }
  for (const event of catalog.events) {
    const versions = [event, ...event.earlier].map(({ version }) => `v${version}`);
    graph.node('event', event.name, `${event.description} Versions: ${versions.join(', ')}.`);
  }
  for (const entity of catalog.entities) addEntity(graph, entity);
  for (const history of catalog.histories)
    for (const { entity } of history.owners) {
      const tag = graph.node('tag', historyTag(history.name, entity), 'one owner’s part of a history');
      const table = tableName(history.table);
      graph.edge(idOf('table', table), 'invalidated by', tag);
      for (const { name } of Object.values(columnsOf(history.table)))
        graph.edge(idOf('column', `${table}.${name}`), 'invalidated by', tag);
    }
  for (const feature of catalog.features) addFeature(graph, feature, catalog);
  for (const { name, entity, inputs } of catalog.derived) {
    const id = graph.node('feature', `${entity.name}.${name}`, 'derived when it is read');
    graph.edge(idOf('entity', entity.name), 'built on', id);
    for (const { feature } of Object.values(inputs)) graph.edge(featureId(feature), 'reads', id);
  }
  for (const model of catalog.models) addModel(graph, model, catalog);
}

/** The tag of one row, with the key as braces: `station:{id}`. */
export function rowTag(entity: EntityDefinition): string {
  return `${entity.name}:${keyText(entity)}`;
}

export function historyTag(history: string, entity: EntityDefinition): string {
  return `${history}@${rowTag(entity)}`;
}

/** The tag that a fold into a feature invalidates: that of its group. */
export function groupTag(feature: FeatureDefinition): string {
  return featureTag(feature.entity.name, partOf(groupOf(feature), keyText(feature.entity)));
}

export function featureId({ entity, name }: FeatureDefinition): string {
  return idOf('feature', `${entity.name}.${name}`);
}

function keyText({ key }: EntityDefinition): string {
  return key.columns.map(({ property }) => `{${property}}`).join(',');
}

function addEntity(graph: ImpactGraph, entity: EntityDefinition): void {
  const table = tableName(entity.table);
  const id = graph.node('entity', entity.name, `rows of ${table}`);
  const tag = graph.node('tag', rowTag(entity), 'one row');
  const column = (name: string) => idOf('column', `${table}.${name}`);
  graph.edge(idOf('table', table), 'built on', id);
  graph.edge(id, 'invalidated by', tag);
  for (const { column: part } of entity.key.columns) graph.edge(column(part.name), 'keyed by', id);
  for (const { name } of Object.values(columnsOf(entity.table)))
    graph.edge(column(name), 'invalidated by', tag);
  for (const list of Object.values(entity.lists)) {
    const listTag = graph.node('tag', list.name, 'positions of a list');
    graph.edge(id, 'invalidated by', listTag);
    const sorted = [...list.orderBy, ...list.filter, ...(list.range === undefined ? [] : [list.range])];
    for (const { column: of } of sorted) graph.edge(column(of.name), 'invalidated by', listTag);
  }
  for (const search of Object.values(entity.searches)) {
    const searchTag = graph.node('tag', search.name, 'lexemes of a search');
    graph.edge(id, 'invalidated by', searchTag);
    for (const { name } of search.columns) graph.edge(column(name), 'invalidated by', searchTag);
  }
}

function addFeature(graph: ImpactGraph, feature: FeatureDefinition, catalog: Catalog): void {
  const { entity, eventType, aggregate, column } = feature;
  const id = graph.node('feature', `${entity.name}.${feature.name}`, aggregate);
  graph.edge(idOf('entity', entity.name), 'built on', id);
  if (column !== undefined)
    graph.edge(idOf('column', `${tableName(entity.table)}.${column.column.name}`), 'reads', id);
  else graph.edge(eventId(eventType, catalog), 'counts', id);
  graph.edge(id, 'invalidated by', graph.node('tag', groupTag(feature), 'features of one key'));
}

/** The event of a CloudEvents type, whatever its version. */
export function eventId(type: string, { eventTypes }: Pick<Catalog, 'eventTypes'>): string {
  return idOf('event', eventTypes.get(type)?.name ?? type);
}

function addModel(graph: ImpactGraph, model: ModelDefinition, catalog: Catalog): void {
  const id = graph.node('model', model.name, model.description);
  graph.edge(idOf('entity', model.entity.name), 'built on', id);
  if (model.task === 'ranking') graph.edge(idOf('entity', model.itemEntity.name), 'built on', id);
  const items = Object.values(model.dataset?.itemFeatures ?? {});
  for (const { feature } of [...referencesOf(model), ...items]) graph.edge(featureId(feature), 'reads', id);
  for (const { feature } of referencesOf(model))
    graph.edge(graph.node('tag', groupTag(feature)), 'refilled by', id);
  for (const label of [model.dataset?.label, model.feedback?.label])
    if (label !== undefined) graph.edge(eventId(label.eventType, catalog), 'learns from', id);
  graph.edge(
    id,
    'invalidated by',
    graph.node('tag', modelTag(model.name), 'the version of a model that answers'),
  );
}

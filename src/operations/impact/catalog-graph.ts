import type { Catalog } from '../../define/catalog.ts';
import type { EventDefinition } from '../../define/event.ts';
import { addCounted, type RouteFacts, routeName } from './counted.ts';
import { addDeclared, featureId, groupTag, historyTag, rowTag } from './declared.ts';
import { ImpactGraph, idOf } from './graph.ts';
import { fieldSchemas, type ObservedEvent, observeEvent, readersOf } from './observed-events.ts';
import type { ObservedView } from './observed-views.ts';
import { columnsOf, tableName } from './tables.ts';

/**
 * The graph of a deployment: what the declarations say, and what their code was seen to do on made-up data.
 *
 * @param routes all routes of the API.
 * @param views by name.
 */
export function catalogGraph(
  catalog: Catalog,
  routes: readonly RouteFacts[],
  views: ReadonlyMap<string, ObservedView>,
): ImpactGraph {
  const graph = new ImpactGraph();
  addDeclared(graph, catalog);
  for (const event of catalog.events) addEvent(graph, event, catalog);
  addViews(graph, catalog, views);
  addRoutes(graph, catalog, routes);
  addCounted(graph, catalog, routes);
  return graph;
}

function addEvent(graph: ImpactGraph, event: EventDefinition, catalog: Catalog): void {
  const id = idOf('event', event.name);
  const fieldId = (field: string) => idOf('field', `${event.name}.${field}`);
  for (const field of Object.keys(fieldSchemas(event)))
    graph.edge(id, 'part of', graph.node('field', `${event.name}.${field}`));
  const { eventRules, storedRules, distributions } = event.quality;
  for (const { name, pointer, mode, dimension } of [...eventRules, ...storedRules, ...distributions]) {
    const rule = graph.node('rule', `${event.name}/${name}`, `${mode}, ${dimension}`);
    graph.edge(id, 'checks', rule);
    const [, field] = /^\/data\/([^/]+)/.exec(pointer) ?? [];
    if (field !== undefined && graph.nodes.has(fieldId(field))) graph.edge(fieldId(field), 'checks', rule);
  }
  for (const { name, history, properties } of storedRules)
    for (const property of properties) {
      const column = columnsOf(history.table)[property];
      if (column === undefined) continue;
      const rule = idOf('rule', `${event.name}/${name}`);
      graph.edge(idOf('column', `${tableName(history.table)}.${column.name}`), 'checks', rule);
    }
  addObserved(graph, event, observeEvent(event, readersOf(event, catalog)), catalog);
}

function addObserved(
  graph: ImpactGraph,
  event: EventDefinition,
  seen: ObservedEvent,
  catalog: Catalog,
): void {
  const id = idOf('event', event.name);
  const fieldId = (field: string) => idOf('field', `${event.name}.${field}`);
  const write = (from: string, column: string) => {
    for (const written of [column, ...clocksOf(column, catalog)])
      if (graph.nodes.has(idOf('column', written)))
        graph.edge(from, 'written by', idOf('column', written), 'observed');
  };
  for (const column of seen.columns) write(id, column);
  for (const [field, columns] of seen.fields) for (const column of columns) write(fieldId(field), column);
  const models = catalog.models.flatMap(({ name, dataset, feedback }) =>
    [dataset?.label, feedback?.label].map((label) => ({ id: idOf('model', name), label })),
  );
  for (const [reader, fields] of seen.readBy)
    for (const field of fields) {
      if (!graph.nodes.has(fieldId(field))) continue;
      const labelled = models.filter(({ label }) => label === reader);
      if (labelled.length === 0) graph.edge(fieldId(field), 'reads', featureId(reader), 'observed');
      for (const model of labelled) graph.edge(fieldId(field), 'learns from', model.id, 'observed');
    }
  for (const [rule, fields] of seen.checkedBy)
    for (const field of fields)
      if (graph.nodes.has(fieldId(field)))
        graph.edge(fieldId(field), 'checks', idOf('rule', `${event.name}/${rule}`), 'observed');
  for (const { field, reason } of seen.unknown) graph.note(field === null ? id : fieldId(field), reason);
}

/** The clocks that are written together with a column. */
function clocksOf(column: string, { entities }: Pick<Catalog, 'entities'>): string[] {
  return entities.flatMap(({ table, clocks }) =>
    Object.values(clocks).flatMap((clock) =>
      clock.columns.some((covered) => `${tableName(table)}.${covered.column.name}` === column)
        ? [`${tableName(table)}.${clock.column.name}`]
        : [],
    ),
  );
}

function addViews(graph: ImpactGraph, catalog: Catalog, views: ReadonlyMap<string, ObservedView>): void {
  for (const view of catalog.views) {
    const id = graph.node('view', view.name, view.path);
    for (const { features } of view.featureReads)
      for (const feature of features) {
        graph.edge(featureId(feature), 'reads', id);
        graph.edge(graph.node('tag', groupTag(feature)), 'refilled by', id);
      }
    const seen = views.get(view.name);
    if (seen === undefined) {
      graph.note(id, 'Its load was not run, so what it reads is not known.');
      continue;
    }
    for (const table of seen.tables)
      if (graph.nodes.has(idOf('table', table))) graph.edge(idOf('table', table), 'reads', id, 'observed');
      else graph.note(id, `It reads ${table}, which is no table of the catalog.`);
    for (const column of seen.columns)
      if (graph.nodes.has(idOf('column', column)))
        graph.edge(idOf('column', column), 'reads', id, 'observed');
    for (const name of seen.foreign)
      graph.note(id, `Its SQL names ${name}, which is no table of the catalog.`);
    for (const tag of seen.tags)
      graph.edge(graph.node('tag', tagName(tag, catalog)), 'refilled by', id, 'observed');
    for (const reason of seen.unknown) graph.note(id, reason);
  }
}

/** The node of a tag: tags of all keys and of all positions of a list are one node. */
export function tagName(
  tag: string,
  { entities, histories }: Pick<Catalog, 'entities' | 'histories'>,
): string {
  for (const { lists, searches } of entities)
    for (const { name } of [...Object.values(lists), ...Object.values(searches)])
      if (tag.startsWith(`${name}^`) || tag.startsWith(`${name}[`)) return name;
  for (const { name, owners } of histories)
    for (const { entity } of owners)
      if (tag.startsWith(`${name}@${entity.name}:`)) return historyTag(name, entity);
  return rowTagName(tag, entities) ?? tag;
}

function rowTagName(tag: string, entities: Catalog['entities']): string | undefined {
  const owner = entities.find(({ name }) => tag.startsWith(`${name}:`));
  return owner === undefined ? undefined : rowTag(owner);
}

/** The kinds whose elements are all served at routes of Millrace's own, by the cost class of these. */
const SERVES = { features: ['feature'], event: ['event', 'field'], prediction: ['model'] } as const;

function addRoutes(graph: ImpactGraph, catalog: Catalog, routes: readonly RouteFacts[]): void {
  for (const route of routes) {
    const id = graph.node('route', routeName(route));
    const { declaredBy, cost } = route;
    if (declaredBy !== null) {
      const [kind = '', name = ''] = declaredBy.split(' ');
      const declaration = `${kind}:${name}`;
      if (graph.nodes.has(declaration)) graph.edge(declaration, 'serves', id);
      if (kind === 'entity') addWrites(graph, id, route, catalog, name);
      continue;
    }
    const serves = Object.entries(SERVES).flatMap(([of, kinds]): readonly string[] =>
      of === cost ? kinds : [],
    );
    for (const [node, { kind }] of graph.nodes) if (serves.includes(kind)) graph.edge(node, 'serves', id);
  }
}

/** The columns that a `PUT` replaces; a `DELETE` removes the row. */
function addWrites(
  graph: ImpactGraph,
  id: string,
  { method }: RouteFacts,
  catalog: Catalog,
  name: string,
): void {
  const entity = catalog.entities.find((one) => one.name === name);
  if (entity?.write === undefined) return;
  const table = tableName(entity.table);
  // A removed row is gone for those that read the table, whichever of its columns they read.
  if (method !== 'PUT') {
    graph.edge(id, 'written by', idOf('table', table));
    return;
  }
  const columns = columnsOf(entity.table);
  const written = [
    ...Object.keys(entity.write.body.shape),
    ...entity.key.columns.map(({ property }) => property),
  ];
  for (const property of written) {
    const column = columns[property];
    if (column !== undefined) graph.edge(id, 'written by', idOf('column', `${table}.${column.name}`));
  }
}

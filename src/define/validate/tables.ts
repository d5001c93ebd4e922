import { getTableName } from 'drizzle-orm';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import type { Catalog } from '../catalog.ts';
import { EVENT_LINE, EVENT_SEQ, hasLines } from '../effect.ts';
import type { Report } from '../problem.ts';

/** A function of Postgres makes the JSON of a change from at most 100 arguments: a name and a value for each column. */
const FEATURE_COLUMNS_MAX = 50;

/** Checks that keys, writes and rules fit the tables. */
export function checkTables(catalog: Catalog, report: Report): void {
  for (const entity of catalog.entities) {
    const wanted = entity.key.columns.map(({ column }) => column.name);
    if (!uniqueSets(entity.table).some((columns) => sameSet(columns, wanted)))
      report(
        entity,
        `entity "${entity.name}"`,
        `The table "${getTableName(entity.table)}" has no primary key or unique constraint of exactly ${wanted.join(', ')}.`,
        'Declare it in the table, or name the columns that are its key.',
      );
  }
  for (const entity of catalog.entities)
    if (entity.isPublic && entity.rows !== undefined)
      report(
        entity,
        `entity "${entity.name}"`,
        'It is public, so readers without a claim get the features of its rows.',
        'Leave out `public` or `rows`.',
      );
  for (const [path, ofPath] of Map.groupBy(
    catalog.entities.filter(({ write }) => write !== undefined),
    ({ write }) => write?.path,
  ))
    for (const entity of ofPath.slice(1))
      report(
        entity,
        `entity "${entity.name}"`,
        `Another entity is written at "${path}".`,
        'Choose another `write.path`.',
      );
  for (const event of catalog.events)
    for (const rule of event.quality.storedRules)
      if (!catalog.histories.includes(rule.history))
        report(
          event,
          `event "${event.name}"`,
          `The rule "${rule.name}" is about the history "${rule.history.name}", which the catalog does not export.`,
          'Export the history.',
        );
  for (const feature of catalog.features) {
    if (!catalog.entities.includes(feature.entity))
      report(
        feature,
        `feature "${feature.name}"`,
        `Its entity "${feature.entity.name}" is not exported.`,
        'Export the entity.',
      );
    if (feature.column === undefined && !catalog.eventTypes.has(feature.eventType))
      report(
        feature,
        `feature "${feature.name}"`,
        `Its event "${feature.eventType}" is not exported.`,
        'Export the event.',
      );
  }
  for (const [entity, own] of Map.groupBy(catalog.features, (feature) => feature.entity)) {
    const read = new Set(own.flatMap(({ column }) => column?.property ?? []));
    if (read.size > FEATURE_COLUMNS_MAX)
      report(
        entity,
        `entity "${entity.name}"`,
        `Features read ${read.size} of its columns.`,
        `They read at most ${FEATURE_COLUMNS_MAX}.`,
      );
  }
  for (const history of catalog.histories) {
    const fits = uniqueSets(history.table).some((columns) =>
      sameSet(columns, hasLines(history) ? [EVENT_SEQ, EVENT_LINE] : [EVENT_SEQ]),
    );
    if (!fits)
      report(
        history,
        `history "${history.name}"`,
        `The primary key of its table "${getTableName(history.table)}" is not that of a history.`,
        'Make it eventSeq: bigint("event_seq"), or, where one event has several rows, that and eventLine: integer("event_line").',
      );
    for (const owner of history.owners)
      if (!catalog.entities.includes(owner.entity))
        report(
          history,
          `history "${history.name}"`,
          `Its owner "${owner.entity.name}" is not exported.`,
          'Export the entity.',
        );
  }
}

/** The sets of columns, by their database names, that are unique in the table. */
function uniqueSets(table: PgTable): string[][] {
  const { columns, primaryKeys, uniqueConstraints, indexes } = getTableConfig(table);
  return [
    ...columns.filter(({ primary, isUnique }) => primary || isUnique).map(({ name }) => [name]),
    ...primaryKeys.map((key) => key.columns.map(({ name }) => name)),
    ...uniqueConstraints.map((constraint) => constraint.columns.map(({ name }) => name)),
    ...indexes
      .filter(({ config }) => config.unique && config.where === undefined)
      .map(({ config }) => config.columns.map((column) => ('name' in column ? String(column.name) : ''))),
  ];
}

function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}

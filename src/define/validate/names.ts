import type { Catalog } from '../catalog.ts';
import { readNames } from '../feature.ts';
import type { Report } from '../problem.ts';

/** Lower case, so that a tag, a cache key and a URL have one spelling of it. */
const NAME = /^[a-z][a-z0-9-]{0,62}$/;
/** Features are read by their names in JSON and as columns of data sets: underscores, no dashes. */
const FEATURE_NAME = /^[a-z][a-z0-9_]{0,62}$/;
const EVENT_NAME = /^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*$/;
/** Beginnings of the product's own tags and cache keys. */
const RESERVED = new Set(['cache', 'champion', 'features', 'model', 'everything']);

/** Names are well-formed and unique in each namespace that definitions share. */
export function checkNames(catalog: Catalog, report: Report): void {
  const { entities, histories, events, views, features, models } = catalog;
  const wellFormed = (kind: string, definitions: readonly { readonly name: string }[], pattern: RegExp) => {
    for (const definition of definitions)
      if (!pattern.test(definition.name))
        report(
          definition,
          `${kind} "${definition.name}"`,
          `The name is not of the form ${pattern.source}.`,
          'Rename it.',
        );
  };
  wellFormed('entity', entities, NAME);
  wellFormed('history', histories, NAME);
  wellFormed('view', views, NAME);
  wellFormed('model', models, NAME);
  wellFormed('event', events, EVENT_NAME);
  wellFormed('feature', features, FEATURE_NAME);
  for (const definition of [...entities, ...histories, ...views, ...models])
    if (RESERVED.has(definition.name))
      report(
        definition,
        `${definition.kind} "${definition.name}"`,
        'Millrace uses this name for tags and cache keys of its own.',
        'Rename it.',
      );

  const unique = (namespace: string, kind: string, named: readonly (readonly [unknown, string])[]) => {
    const owners = new Map<string, unknown>();
    for (const [definition, name] of named) {
      const owner = owners.get(name);
      if (owner === undefined) owners.set(name, definition);
      else {
        const other = catalog.origins.get(owner) ?? 'another declaration';
        report(
          definition,
          `${kind} "${name}"`,
          `${other} has this ${namespace} already.`,
          'Rename one of the two.',
        );
      }
    }
  };
  const names = (definitions: readonly { readonly name: string }[]) =>
    definitions.map((definition) => [definition, definition.name] as const);
  unique('name', 'entity', names(entities));
  unique('name', 'history', names(histories));
  unique('name', 'event', names(events));
  // Purges, metrics and cache keys know a view and a ranking by one name.
  unique('name', 'view or model', [...names(views), ...names(models)]);
  for (const [entity, ofEntity] of Map.groupBy(features, (feature) => feature.entity))
    unique(
      `read name of "${entity.name}"`,
      'feature',
      ofEntity.flatMap((feature) => readNames(feature).map((name) => [feature, name] as const)),
    );
  // One version of a type is declared once, also where two event types have names that end alike.
  unique(
    'type',
    'event version',
    events.flatMap((event) => [event, ...event.earlier].map(({ type }) => [event, type] as const)),
  );
}

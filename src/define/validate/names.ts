import type { Catalog } from '../catalog.ts';
import { readNames } from '../feature.ts';
import type { Report } from '../problem.ts';
import { OWN_TYPES } from '../row-change.ts';

/** Lower case, so that tags, cache keys and URLs spell a name in one way. */
const NAME = /^[a-z][a-z0-9-]{0,62}$/;
/** Feature names are JSON members and columns of data sets, so they have underscores and no dashes. */
const FEATURE_NAME = /^[a-z][a-z0-9_]{0,62}$/;
const EVENT_NAME = /^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*$/;
/** Prefixes of the product's own tags and cache keys. */
const RESERVED = new Set(['cache', 'champion', 'features', 'model', 'everything']);

/** Checks that names are well-formed and unique in each shared namespace. */
export function checkNames(catalog: Catalog, report: Report): void {
  const { entities, histories, events, views, features, derived, models } = catalog;
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
  wellFormed('feature', [...features, ...derived], FEATURE_NAME);
  for (const definition of events)
    if (definition.name.startsWith(OWN_TYPES))
      report(
        definition,
        `event "${definition.name}"`,
        `Types that begin with "${OWN_TYPES}" are those of Millrace's own events.`,
        'Rename it.',
      );
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
  // Views and models share one namespace in purges, metrics and cache keys.
  unique('name', 'view or model', [...names(views), ...names(models)]);
  for (const [entity, ofEntity] of Map.groupBy([...features, ...derived], (feature) => feature.entity))
    unique(
      `read name of "${entity.name}"`,
      'feature',
      ofEntity.flatMap((feature) =>
        (feature.kind === 'feature' ? readNames(feature) : [feature.name]).map(
          (name) => [feature, name] as const,
        ),
      ),
    );
  // Each version of a type must be declared once, even if the names of two event types end alike.
  unique(
    'type',
    'event version',
    events.flatMap((event) => [event, ...event.earlier].map(({ type }) => [event, type] as const)),
  );
}

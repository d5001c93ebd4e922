import type { Catalog } from '../define/catalog.ts';
import type { Deprecation } from '../define/version.ts';
import { nameOfModel, nameOfWrites } from './deprecation.ts';

/**
 * What the catalog declares as deprecated: versions of views and of event types, writes of entities, and models.
 * `of` is the element that each is a version of, as `kind:name`.
 */
export function deprecatedVersions({
  views,
  eventTypes,
  entities,
  models,
}: Pick<Catalog, 'views' | 'eventTypes' | 'entities' | 'models'>) {
  const ofViews = views.flatMap(({ name, replaced }) =>
    replaced === undefined ? [] : [declared(`view:${name}`, name, replaced, replaced.by)],
  );
  const ofEvents = [...eventTypes.values()].flatMap(({ name, type, currentType, deprecated }) =>
    deprecated === undefined ? [] : [declared(`event:${name}`, type, deprecated, currentType)],
  );
  const ofWrites = entities.flatMap((entity) => {
    const end = entity.write?.deprecated;
    return end === undefined ? [] : [declared(`entity:${entity.name}`, nameOfWrites(entity), end, end.by)];
  });
  const ofModels = models.flatMap((model) => {
    const end = model.deprecated;
    return end === undefined
      ? []
      : [declared(`model:${model.name}`, nameOfModel(model), end, end.by && nameOfModel(end.by))];
  });
  return [...ofViews, ...ofEvents, ...ofWrites, ...ofModels];
}

function declared(of: string, version: string, { since, sunset }: Deprecation, by: string | undefined) {
  return { of, version, since, sunset: sunset ?? null, by: by ?? null };
}

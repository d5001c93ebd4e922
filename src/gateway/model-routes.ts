import { z } from '@hono/zod-openapi';
import type { Catalog } from '../define/catalog.ts';
import type { EntityDefinition } from '../define/entity.ts';
import type { KeyColumn } from '../define/key.ts';
import type { ModelDefinition } from '../define/model.ts';
import { jsonTypeOf } from '../define/model-input.ts';
import { parametersOf } from '../define/path.ts';
import type { CachedRoute } from './cached-routes.ts';
import { includeParameter } from './included-parts.ts';

/** A page of recommendations is at most half of the candidates of one batch through the model. */
const LIMIT_MAX = 100;

/** The cached route of a model, named after the model. */
export interface ModelRoute extends CachedRoute {
  /** The key's canonical text. */
  readonly keyIn: (input: Readonly<Record<string, unknown>>) => string;
  /** The parameters of the path for the values of a key, by property. */
  readonly paramsOf: (key: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;
}

/** The route at a model's path; undefined where it declares none. */
export function modelRoute(model: ModelDefinition): ModelRoute | undefined {
  const { entity, path } = model;
  if (path === undefined) return undefined;
  const columns = parametersOf(path).map((parameter) => [parameter, columnOf(entity, parameter)] as const);
  const params = z.object(Object.fromEntries(columns.map(([parameter, { schema }]) => [parameter, schema])));
  return {
    view: model.name,
    path,
    params,
    query: queryOf(model),
    paramsOf: (key) =>
      Object.fromEntries(columns.map(([parameter, { property }]) => [parameter, key[property]])),
    keyIn: (input) => {
      const values = columns.map(([parameter, { property }]) => [property, input[parameter]]);
      // The route's `params` have parsed them.
      return entity.key.textOf(Object.fromEntries(values) as Parameters<EntityDefinition['row']>[0]);
    },
  };
}

/** The cached routes of views and models. */
export function cachedRoutesOf({ views, models }: Catalog): CachedRoute[] {
  return [
    ...views.map(({ name, path, params, query }) => ({ view: name, path, params, query })),
    ...models.flatMap((model) => modelRoute(model) ?? []),
  ];
}

/** The single column of a key, whatever the parameter's name is; otherwise the column of that name. */
function columnOf({ key, name }: EntityDefinition, parameter: string): KeyColumn {
  const [only, ...others] = key.columns;
  const column = others.length === 0 ? only : key.columns.find(({ property }) => property === parameter);
  if (column === undefined) throw new Error(`The key of "${name}" has no column "${parameter}".`);
  return column;
}

function queryOf(model: ModelDefinition): z.ZodObject {
  if (model.task === 'ranking')
    return z.object({
      limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(10),
      ...includeParameter(model),
    });
  return z.object({
    ...Object.fromEntries(
      Object.entries(model.request.shape).map(([field, schema]) => [field, fromText(schema)]),
    ),
    ...includeParameter(model),
  });
}

/** The schema of a request's field for the text that a query has: numbers and booleans are read from it. */
function fromText(schema: z.ZodType): z.ZodType {
  switch (jsonTypeOf(schema)) {
    case 'number':
    case 'integer':
      return z.preprocess((text) => (isText(text) && text.trim() !== '' ? Number(text) : text), schema);
    case 'boolean':
      return z.preprocess((text) => (text === 'true' ? true : text === 'false' ? false : text), schema);
    default:
      return schema;
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

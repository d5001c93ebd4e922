import * as z from 'zod';
import type { EntityDefinition } from '../../src/define/entity.ts';
import { type ExampleValues, exampleAddress, exampleKey } from '../../src/define/example-addresses.ts';
import type { FeatureDefinition } from '../../src/define/feature.ts';
import type { ViewDefinition } from '../../src/define/view.ts';

/** A request whose answer is recorded as an example. */
export interface Asked {
  /** The method and the path of the document, by which the inventory names the operation. */
  readonly name: string;
  readonly path: string;
  readonly body?: object | undefined;
}

interface Declared {
  readonly views: readonly ViewDefinition[];
  readonly features: readonly FeatureDefinition[];
}

/** Neighbours that an example of a lineage graph shows. */
const LINEAGE = 'depth=1&limit=1';
const Models = z.object({
  models: z.array(
    z
      .object({ name: z.string(), aliases: z.looseObject({ champion: z.looseObject({}) }) })
      .or(z.null())
      .catch(null),
  ),
});
const Versioned = z.object({ versions: z.tuple([z.object({ version: z.string() })], z.unknown()) });
const Tensors = z.object({
  inputs: z.array(z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) })),
});

/**
 * Requests of Millrace's own operations whose answers name declarations. None changes what the worker serves.
 *
 * @param event the path of an event that is stored, after `/v1/events` and `/v1/lineage/event`.
 * @param seen answers, by the names of their requests: they have the version and the tensors of a model.
 */
export function ownRequests(
  { views, features }: Declared,
  event: string | undefined,
  known: ExampleValues,
  seen: ReadonlyMap<string, unknown>,
): Asked[] {
  const read = (path: string, query = '') => ({ name: `GET ${path}`, path: `${path}${query}` });
  const viewed = views.flatMap((view) => exampleAddress(view, known) ?? []).slice(0, 1);
  const ofEvents = ['/v1/events', '/v1/lineage/event'].flatMap((path) =>
    event === undefined ? [] : [{ name: `GET ${path}/{source}/{id}`, path: `${path}/${event}` }],
  );
  return [
    ...ofEvents.map((asked) =>
      asked.path.startsWith('/v1/lineage') ? { ...asked, path: `${asked.path}?${LINEAGE}` } : asked,
    ),
    ...[read('/v1/events/types'), read('/v1/models')],
    ...servedModel(seen).flatMap((name) => modelRequests(name, seen)),
    ...viewed.map((path) => read('/v1/admin/cache/inspect', `?path=${encodeURIComponent(path)}`)),
    ...['/v1/admin/cache/stats', '/v1/admin/pipeline', '/v1/admin/features'].map((path) => read(path)),
    { name: 'POST /v1/admin/features/backfill', path: '/v1/admin/features/backfill' },
    ...features.flatMap((feature) => feastOf(feature, known)).slice(0, 1),
    ...[read('/v1/admin/deprecations'), read('/v1/quality'), read('/v1/lineage/events', '?limit=2')],
  ];
}

/** The first model with a version that answers; none before the list is there. */
function servedModel(seen: ReadonlyMap<string, unknown>): string[] {
  const list = Models.safeParse(seen.get('GET /v1/models'));
  return (list.data?.models ?? []).flatMap((model) => model?.name ?? []).slice(0, 1);
}

function modelRequests(model: string, seen: ReadonlyMap<string, unknown>): Asked[] {
  const list = { name: 'GET /v1/models/{model}', path: `/v1/models/${model}` };
  const shown = { name: 'GET /v2/models/{model}', path: `/v2/models/${model}` };
  const versioned = Versioned.safeParse(seen.get(list.name));
  const tensors = Tensors.safeParse(seen.get(shown.name));
  const version = versioned.data?.versions[0].version;
  const one = version === undefined ? undefined : `versions/${version}`;
  const body = tensors.data && { inputs: tensors.data.inputs.map(zeros) };
  return [
    ...[list, shown],
    ...(one === undefined
      ? []
      : [
          { name: `${list.name}/versions/{version}`, path: `${list.path}/${one}` },
          { name: 'GET /v1/lineage/{kind}/{id}', path: `/v1/lineage/model/${version}?${LINEAGE}` },
          { name: `${shown.name}/versions/{version}`, path: `${shown.path}/${one}` },
        ]),
    ...(body === undefined
      ? []
      : [{ name: 'POST /v2/models/{model}/infer', path: `${shown.path}/infer`, body }]),
    ...(body === undefined || one === undefined
      ? []
      : [
          {
            name: 'POST /v2/models/{model}/versions/{version}/infer',
            path: `${shown.path}/${one}/infer`,
            body,
          },
        ]),
  ];
}

/** A tensor of one row. A dimension of any size is -1. */
function zeros({ name, datatype, shape }: z.output<typeof Tensors>['inputs'][number]) {
  const dimensions = shape.map((size) => (size < 0 ? 1 : size));
  const value = datatype === 'BOOL' ? false : datatype === 'BYTES' ? '' : 0;
  const count = dimensions.reduce((elements, size) => elements * size, 1);
  return { name, datatype, shape: dimensions, data: new Array(count).fill(value) };
}

/** A read of the features of a row in the form of Feast's clients. */
function feastOf({ entity }: FeatureDefinition, known: ExampleValues): Asked[] {
  const key = exampleKey(entity, known);
  if (key === undefined) return [];
  const path = '/get-online-features';
  const entities = Object.fromEntries(
    entity.key.columns.map(({ property }) => [
      `${entity.name}_${property}`,
      [typeof key === 'string' ? key : key[property]],
    ]),
  );
  return [{ name: `POST ${path}`, path, body: { feature_service: entity.name, entities } }];
}

/** A read of all features of a row. */
export function featuresOf(entity: EntityDefinition, known: ExampleValues): Asked[] {
  const key = exampleKey(entity, known);
  if (key === undefined) return [];
  const path = '/v1/features/read';
  return [{ name: `POST ${path}`, path, body: { entity: entity.name, keys: [key] } }];
}

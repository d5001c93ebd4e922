/** What the page at `/` shows of a catalog. Pure: everything follows from the declarations. */
import * as z from 'zod';
import type { Catalog } from '../../define/catalog.ts';
import type { EntityDefinition } from '../../define/entity.ts';
import type { EventDefinition } from '../../define/event.ts';
import {
  type ExampleValues,
  exampleAddress,
  exampleKey,
  exampleValues,
  isNamedBefore,
} from '../../define/example-addresses.ts';
import { type Aggregate, type FeatureDefinition, readNames } from '../../define/feature.ts';
import { type ModelDefinition, referencesOf } from '../../define/model.ts';
import type { ViewDefinition } from '../../define/view.ts';
import { modelRoute } from '../model-routes.ts';
import { IN_VARIABLES, postLine, readLine, sendLine, streamLine } from './lines.ts';
import type { LiveData, LiveEvent, LiveModel, RowRoute } from './live-data.ts';

/** One thing that the deployment serves. */
export interface Entry {
  readonly name: string;
  /** A route, a key, an aggregate: what a developer looks for first. */
  readonly facts: string;
  readonly description: string;
  readonly isPublic: boolean;
  /** A command to try. */
  readonly line: string;
}

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly intro: string;
  readonly entries: readonly Entry[];
}

export interface PageContent {
  readonly sections: readonly Section[];
  readonly live: LiveData;
}

/** Addresses that are read before and after an event: a browser opens six connections, and each is one read. */
const ADDRESSES_MAX = 8;
/** Those of them that are answers of models. */
const MODEL_ADDRESSES_MAX = 2;

/** @param now milliseconds since the Unix epoch: the examples of events are interpreted as if they happened then. */
export function pageContent(catalog: Catalog, now: number): PageContent {
  const sendable = byInfluence(catalog).filter(({ example }) => example !== undefined);
  const known = exampleValues(sendable, now);
  return {
    sections: [
      {
        id: 'views',
        title: 'Views',
        intro: 'Answers from the database, cached until what they depend on changes.',
        entries: catalog.views.map((view) => ({
          name: view.name,
          facts: `GET ${view.path}${claimOf(view)}`,
          description: view.description,
          isPublic: view.isPublic,
          line: readLine(IN_VARIABLES, addressFor(view, known), view),
        })),
      },
      {
        id: 'models',
        title: 'Models',
        intro: 'Predictions and rankings from ONNX models, cached until the features that they read change.',
        entries: catalog.models.map((model) => modelEntry(model, known)),
      },
      {
        id: 'events',
        title: 'Events',
        intro: 'What may be sent to POST /v1/events, as CloudEvents 1.0.',
        entries: catalog.events.map(eventEntry),
      },
      {
        id: 'features',
        title: 'Features',
        intro: 'Aggregates over events for each entity, updated as events arrive.',
        entries: catalog.features.map((feature) => featureEntry(feature, known)),
      },
      {
        id: 'entities',
        title: 'Entities',
        intro: 'The rows that answers depend on. The line to try streams their changes.',
        entries: catalog.entities.map(entityEntry),
      },
    ],
    live: {
      events: sendable.map((event) => liveEvent(catalog, event, sendable, now)),
      rows: rowRoutes(catalog),
      models: liveModels(catalog, known),
    },
  };
}

/** The route's example address, else its path with the names of parameters in capitals. */
function addressFor(route: Parameters<typeof exampleAddress>[0], known: ExampleValues): string {
  return exampleAddress(route, known) ?? placeholders(route.path);
}

function placeholders(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase());
}

function modelEntry(model: ModelDefinition, known: ExampleValues): Entry {
  const route = modelRoute(model);
  const { name, description, isPublic } = model;
  if (route !== undefined) {
    const line = readLine(IN_VARIABLES, addressFor(route, known), model);
    return { name, facts: `${model.task} · GET ${route.path}`, description, isPublic, line };
  }
  const path = `/v1/predictions/${name}`;
  const line = postLine(IN_VARIABLES, path, requestOf(model, known), model);
  return { name, facts: `${model.task} · POST ${path}`, description, isPublic, line };
}

/** A view that reads its reader's own rows has an answer only for keys and tokens with the claim. */
function claimOf({ rows }: ViewDefinition): string {
  return rows !== undefined && rows.of === undefined ? ` · needs the claim ${rows.claim}` : '';
}

/** A body for `POST /v1/predictions/{model}`: the fields of the request have to be filled in by the reader. */
function requestOf(model: ModelDefinition, known: ExampleValues): Record<string, unknown> {
  const key = exampleKey(model.entity, known) ?? 'KEY';
  const fields = model.task === 'ranking' ? [] : Object.keys(model.request.shape);
  if (fields.length === 0) return { key };
  return { key, request: Object.fromEntries(fields.map((field) => [field, field.toUpperCase()])) };
}

function eventEntry({ type, description, example }: EventDefinition): Entry {
  const line =
    example === undefined
      ? readLine(IN_VARIABLES, '/v1/events/types', { isPublic: true })
      : sendLine(IN_VARIABLES, { type, data: example });
  return { name: type, facts: 'POST /v1/events', description, isPublic: false, line };
}

const AGGREGATES = {
  count: 'Counts',
  sum: 'Sums a value of',
  mean: 'The mean of a value of',
  min: 'The least value of',
  max: 'The greatest value of',
  variance: 'The variance of a value of',
  first_value: 'A value of the first of',
  last_value: 'A value of the last of',
  distinct: 'How many different values there are in',
  most_frequent: 'The most frequent values of',
  decayed: 'A count, in which older ones weigh less, of',
  last: 'The time of the last of',
  since_last: 'The seconds since the last of',
  items: 'The newest items of',
  column: 'The present value of a column, from',
} as const satisfies Readonly<Record<Aggregate, string>>;

function featureEntry(feature: FeatureDefinition, known: ExampleValues): Entry {
  const { name, entity, aggregate, column, eventType, windowsDays, windows } = feature;
  const days = windowsDays.length === 0 ? '' : `, over ${windowsDays.join(', ')} days`;
  const spans = windows.filter((of) => of !== 'lifetime');
  const window = spans.length === 0 ? days : `, over ${windows.join(', ')}`;
  const body = {
    entity: entity.name,
    keys: [exampleKey(entity, known) ?? 'KEY'],
    features: readNames(feature),
  };
  return {
    name,
    facts: `${entity.name}: ${readNames(feature).join(', ')}`,
    description:
      column === undefined
        ? `${AGGREGATES[aggregate]} ${eventType} events for each ${entity.name}${window}.`
        : `The column ${column.property} of each ${entity.name}.`,
    isPublic: entity.isPublic,
    line: postLine(IN_VARIABLES, '/v1/features/read', body, entity),
  };
}

function entityEntry({ name, key, write }: EntityDefinition): Entry {
  const parts = key.columns.map(({ property }) => property);
  const path = write && ['/v1', write.path, ...parts.map((part) => `{${part}}`)].join('/');
  return {
    name,
    facts: `key: ${parts.join(', ')}`,
    description:
      path === undefined ? 'Written by events.' : `Written by events, and by PUT and DELETE ${path}.`,
    isPublic: false,
    line: streamLine(IN_VARIABLES, `/v1/changes?entity=${encodeURIComponent(name)}`),
  };
}

/** The events that most features count stand first, because they change most answers. */
function byInfluence({ events, features }: Catalog): EventDefinition[] {
  const countOf = ({ type }: EventDefinition) =>
    features.filter(({ eventType }) => eventType === type).length;
  return events.toSorted((a, b) => countOf(b) - countOf(a));
}

/** The event with the addresses that its example fills in, its own values first. */
function liveEvent(
  { views, models }: Catalog,
  event: EventDefinition,
  sendable: readonly EventDefinition[],
  now: number,
): LiveEvent {
  const known = exampleValues([event, ...sendable.filter((other) => other !== event)], now);
  const filledIn = (route: Parameters<typeof exampleAddress>[0]) => exampleAddress(route, known) ?? [];
  const ofModels = models.flatMap((model) => modelRoute(model) ?? []).flatMap(filledIn);
  const shown = ofModels.slice(0, MODEL_ADDRESSES_MAX);
  // The reader of the page has a key without claims.
  const readable = views.filter((view) => claimOf(view) === '');
  const addresses = [...readable.flatMap(filledIn).slice(0, ADDRESSES_MAX - shown.length), ...shown];
  const feeds = models
    .filter((model) => referencesOf(model).some(({ feature }) => feature.eventType === event.type))
    .flatMap(({ path }) => path ?? []);
  return { type: event.type, data: event.example, addresses, feeds };
}

/** The views of one row: the path ends with the only part of an entity's key, and nothing else is required. */
function rowRoutes({ views, entities }: Catalog): RowRoute[] {
  return views.flatMap((view) => {
    const [, prefix, parameter = ''] = /^([^{}]*\/)\{(\w+)\}$/.exec(view.path) ?? [];
    if (prefix === undefined || !view.query.safeParse({}).success) return [];
    const schema = view.params.shape[parameter];
    return entities.flatMap((entity) => {
      const [only, ...others] = entity.key.columns;
      if (only === undefined || others.length > 0) return [];
      const { property } = only;
      const isKey = property === parameter && isNamedBefore(parameter, view.path, entity);
      if (!isKey && entity.params[property] !== schema) return [];
      return [{ entity: entity.name, prefix, property, label: labelOf(view.response) }];
    });
  });
}

/** Properties that describe a row to a person, the best first. */
const LABELS = ['name', 'title', 'description', 'label'];

function labelOf(response: z.ZodType): string | undefined {
  if (!(response instanceof z.ZodObject)) return undefined;
  return LABELS.find((label) => label in response.shape);
}

function liveModels({ models }: Catalog, known: ExampleValues): LiveModel[] {
  return models.flatMap((model) => {
    const route = modelRoute(model);
    if (route === undefined) return [];
    const { name, path, address } = { name: model.name, path: route.path, address: addressFor(route, known) };
    return [{ name, path, address, items: model.task === 'ranking' ? model.itemEntity.name : undefined }];
  });
}

import type { Client } from '../../src/client/index.ts';
import { MillraceError, sendEvents } from '../../src/client/index.ts';
import type { AnswerExamples, Catalog } from '../../src/define/catalog.ts';
import type { EntityDefinition } from '../../src/define/entity.ts';
import type { Effect } from '../../src/define/event.ts';
import {
  type ExampleValues,
  exampleAddress,
  exampleKey,
  exampleValues,
} from '../../src/define/example-addresses.ts';
import type { ModelDefinition } from '../../src/define/model.ts';
import { modelRoute } from '../../src/gateway/model-routes.ts';
import { type Asked, featuresOf, ownRequests } from './example-requests.ts';

/** The source of the examples of events. Each has one id, so that a repetition stores nothing. */
const SOURCE = '/examples';
/** The list of models, a model, its version. */
const PASSES_MAX = 3;

/** What a worker answered to the requests that a catalog's declarations give. */
export interface Recording {
  readonly answers: AnswerExamples;
  /** Why a request has no answer that could be an example, in a line each. */
  readonly skipped: readonly string[];
}

/**
 * Stores the examples of the catalog's events, and records what the worker answers to reads, writes and predictions of
 * the rows that they name, and to Millrace's own operations that name declarations. A route that the examples give no
 * address for is left out.
 *
 * @param now milliseconds since the Unix epoch, at which the events happen.
 * @throws MillraceError if the events cannot be stored, or the worker does not answer.
 */
export async function recordAnswers(client: Client, catalog: Catalog, now: number): Promise<Recording> {
  const shown = catalog.events.filter(({ example }) => example !== undefined);
  const time = new Date(now).toISOString();
  const events = shown.map(({ type, example }) => ({
    ...{ id: type, source: SOURCE, type, time, data: example },
  }));
  if (events.length > 0) await sendEvents(client, events, { wait: true });
  const { data: inventory } = await client.get('/v1/inventory');
  const operations = new Map(
    inventory.operations.map(({ method, path, operationId }) => [`${method} ${path}`, operationId]),
  );
  const answers: Record<string, Record<string, unknown>> = {};
  const skipped: string[] = [];
  const seen = new Map<string, unknown>();
  const ask = async ({ name, path, body }: Asked): Promise<void> => {
    const [method = 'GET'] = name.split(' ');
    try {
      const response = await client.fetch(path, {
        ...{ method, consistency: 'strong', isRepeatable: true },
        ...(body === undefined ? {} : { body: JSON.stringify(body), contentType: 'application/json' }),
      });
      const answer: unknown = await response.json();
      seen.set(name, answer);
      answers[operations.get(name) ?? ''] ??= recorded(method, response.status, shownOf(answer));
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      skipped.push(`${name}: ${error.message}`);
      seen.set(name, undefined);
    }
  };
  // Answers name values that the examples of the events lack, such as the district of a station; they also name the
  // version of a model and its tensors.
  for (let pass = 0; pass < PASSES_MAX; pass += 1)
    for (const asked of requestsOf(catalog, now, seen)) if (!seen.has(asked.name)) await ask(asked);
  return { answers, skipped };
}

/** A write answers the row alike, whether it inserts it (201) or replaces it (200). */
function recorded(method: string, status: number, answer: unknown): Readonly<Record<string, unknown>> {
  return method === 'PUT' ? { 200: answer, 201: answer } : { [status]: answer };
}

/**
 * The requests that the examples of the events give, writes first.
 *
 * @param seen answers, by the names of their requests, whose members fill in what the examples do not name.
 */
function requestsOf(
  { entities, events, features, models, views }: Catalog,
  now: number,
  seen: ReadonlyMap<string, unknown>,
): Asked[] {
  const shown = events.filter(({ example }) => example !== undefined);
  const known = knowing(exampleValues(shown, now), [...seen.values()]);
  const effects = shown.flatMap(({ example, interpret }) => {
    const meaning = interpret(example, { occurredAt: now, now });
    return meaning.ok ? meaning.effects : [];
  });
  const reads = [...views, ...models.flatMap((model) => modelRoute(model) ?? [])].flatMap((route) => {
    const path = exampleAddress(route, known);
    return path === undefined ? [] : [{ name: `GET ${route.path}`, path }];
  });
  const [first] = shown;
  const event = first && `${encodeURIComponent(SOURCE)}/${encodeURIComponent(first.type)}`;
  return [
    ...entities.flatMap((entity) => writeOf(entity, effects, seen) ?? []),
    ...reads,
    ...features.flatMap(({ entity }) => featuresOf(entity, known)).slice(0, 1),
    ...models.flatMap((one) => predictionOf(one, known)),
    ...ownRequests({ views, features }, event, known, seen),
  ];
}

/** The values of the examples, and those that answers have under other names. */
function knowing({ keys, properties }: ExampleValues, answers: readonly unknown[]): ExampleValues {
  const scalars = answers
    .flatMap((answer) => Object.entries(Object(answer)))
    .filter(([, value]) => typeof value === 'string' || typeof value === 'number');
  return { keys, properties: new Map([...scalars, ...properties]) };
}

/** A write of the first row of the entity, of an event or of an answer, that the body of the write takes. */
function writeOf(
  { name, key, write }: EntityDefinition,
  effects: readonly Effect[],
  seen: ReadonlyMap<string, unknown>,
): Asked | undefined {
  if (write === undefined) return undefined;
  const template = `/v1/${write.path}/${key.columns.map(({ property }) => `{${property}}`).join('/')}`;
  const names = Object.keys(write.body.shape);
  for (const row of [...effects.map((effect) => rowOf(effect, name)), seen.get(`GET ${template}`)]) {
    const members: Readonly<Record<string, unknown>> = Object(row);
    const parts = key.columns.map(({ property }) => members[property]);
    if (parts.some((part) => part === undefined || part === null)) continue;
    const body = Object.fromEntries(names.map((field) => [field, members[field]]));
    if (!write.body.safeParse(body).success) continue;
    const path = parts.map((part) => encodeURIComponent(String(part))).join('/');
    return { name: `PUT ${template}`, path: `/v1/${write.path}/${path}`, body };
  }
  return undefined;
}

function rowOf(effect: Effect, entity: string): Readonly<Record<string, unknown>> | undefined {
  if (effect.kind === 'append' || effect.kind === 'remove' || effect.entity.name !== entity) return undefined;
  return effect.kind === 'increment' ? effect.orInsert : effect.row;
}

/** A prediction that needs nothing but a key: fields of a request have no examples. */
function predictionOf(model: ModelDefinition, known: ExampleValues): Asked[] {
  const key = exampleKey(model.entity, known);
  const needsFields = model.task !== 'ranking' && Object.keys(model.request.shape).length > 0;
  if (key === undefined || needsFields) return [];
  const path = `/v1/predictions/${model.name}`;
  return [{ name: `POST ${path}`, path, body: { key } }];
}

/** Elements of a list that an example shows. */
const LIST_ELEMENTS_MAX = 2;
/** The id of a key, its secret and its checksum. */
const KEY = /^(mlr_[0-9a-f]{16}_)[\w-]{43}[0-9a-f]{8}$/;

/** An answer as an example shows it: of each list at most two elements, and no secret of a key. */
export function shownOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, LIST_ELEMENTS_MAX).map(shownOf);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shownOf(member)]));
  return typeof value === 'string' ? value.replace(KEY, '$1…') : value;
}

/**
 * The module `examples.ts` of a catalog.
 *
 * @param define the module of `AnswerExamples`, relative to the file.
 */
export function examplesModule(answers: AnswerExamples, define: string): string {
  const lines = Object.entries(answers)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([operationId, byStatus]) => {
      const shown = Object.entries(byStatus).map(([status, body]) => `${status}: ${JSON.stringify(body)}`);
      return `  ${operationId}: { ${shown.join(', ')} },`;
    });
  return [
    `import type { AnswerExamples } from '${define}';`,
    '',
    '/**',
    ' * Answers of a running worker, by operation and status, as examples of the OpenAPI document. They are recorded: do not',
    ' * edit them (docs/catalog.md, "Examples of answers").',
    ' */',
    'export const examples: AnswerExamples = {',
    ...lines,
    '};',
    '',
  ].join('\n');
}

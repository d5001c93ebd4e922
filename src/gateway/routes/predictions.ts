import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { CachedAnswer } from '../../cache/cached-answer.ts';
import type { Consistency } from '../../cache/read-through.ts';
import type { EntityDefinition } from '../../define/entity.ts';
import type { ModelDefinition, PredictionModel, RankingModel } from '../../define/model.ts';
import type { Loaded } from '../../define/view.ts';
import type { Moment } from '../../features/seen-folds.ts';
import type { DegradedReason } from '../../inference/degraded.ts';
import { INCLUDED, includeText } from '../../inference/explain/include.ts';
import { toJson } from '../../inference/json-elements.ts';
import type { LoadedModel, LoadedRanking } from '../../inference/loaded-models.ts';
import { predict } from '../../inference/predict.ts';
import { predictionFacts } from '../../inference/prediction.ts';
import { recommend } from '../../inference/recommend.ts';
import { answerInRollout, type RolloutRequest } from '../../inference/rollout/serve.ts';
import {
  assertJsonElements,
  inputTensors,
  TensorAnswer,
  TensorRequest,
} from '../../inference/tensor-request.ts';
import { nonFiniteAt, type Tensors } from '../../inference/tensors.ts';
import type { LineageFacts } from '../../pipeline/lineage/recorder.ts';
import { systemNow } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { newId } from '../../platform/ids.ts';
import type { KeyValues } from '../../storage/postgres/entity-writes.ts';
import { parsed, readJson } from '../body.ts';
import { consistencyOf } from '../cached-response.ts';
import { keyOf } from '../cached-routes.ts';
import { type ChampionPorts, championOf, inMoment, keptFeatures, predictPorts } from '../champion.ts';
import { type AppEnv, type Gateway, type PortsOf, requestIdOf } from '../context.ts';
import { pascalCase } from '../contract/operation-id.ts';
import { registerCatalogPath } from '../contract/operations.ts';
import { deadlineHeader, deadlineOf, withinNamed } from '../deadline.ts';
import { markDegraded, setDegraded, standInValue } from '../degraded.ts';
import { announcing, endOfPredictions, nameOfModel } from '../deprecation.ts';
import { canonicalKey, EntityKey } from '../entity-key.ts';
import { assertMayInclude, includeMember, reasonUnits } from '../included-parts.ts';
import { predictionUnits, unitsOf } from '../limits/weights.ts';
import { phaseOff } from '../middleware/phases.ts';
import { modelRoute } from '../model-routes.ts';
import { type ModelSchemas, predictionRequest } from '../model-schemas.ts';
import { consistencyHeaders, json, problem } from '../openapi.ts';
import { assertOwnRow } from '../principals/row-access.ts';
import { MODEL_RULE } from '../route-rules.ts';
import { ServedNote } from '../served.ts';
import { namingTraining, portsIn, predictInSpan } from '../traced-predictions.ts';
import { spanOfRequest } from '../traced-requests.ts';

const BODY_BYTES_MAX = 4 * 1024 * 1024;
const ITEMS_MAX = 200;

const RankingRequest = z.strictObject({
  key: EntityKey,
  items: z.array(z.string().min(1).max(64)).min(1).max(ITEMS_MAX).optional(),
  include: includeMember(['features']),
});

export interface PredictionPorts extends ChampionPorts {
  /** The token of an answer that was made just now, as of a moment. */
  readonly tokenAt: (asOf: Moment) => string | undefined;
  /** The indexes of the keys for which the entity has no row. */
  readonly missingKeys: (entity: EntityDefinition, keys: readonly KeyValues[]) => Promise<readonly number[]>;
  /** Records a prediction for its lineage, without waiting and without failing. */
  readonly predicted: (facts: LineageFacts) => void;
}

/** Predictions for an entity whose features the worker reads, or for raw tensors. They are not cached. */
export function registerPredictions(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  predictionsOf: PortsOf<PredictionPorts>,
  schemas: ReadonlyMap<ModelDefinition, ModelSchemas>,
): void {
  const { openAPIRegistry: registry } = app;
  const { models } = gateway.catalog;
  const tensors = {
    request: registry.register('TensorRequest', TensorRequest),
    answer: registry.register('TensorAnswer', TensorAnswer),
  };
  for (const [model, { request = RankingRequest, answer }] of schemas)
    describePrediction(app, model, z.union([request, tensors.request]), z.union([answer, tensors.answer]));
  if (models.some(({ deprecated }) => deprecated !== undefined))
    app.on(
      'POST',
      '/v1/predictions/:model',
      announcing(gateway, (c) => {
        const model = models.find(({ name }) => name === c.req.param('model'));
        const end = model && endOfPredictions(model);
        return model && end && { name: nameOfModel(model), end };
      }),
    );
  app.post('/v1/predictions/:model', async (c) => {
    const ports = predictionsOf(c);
    const deadline = deadlineOf(c.req.raw, ports.deadlineMs);
    const definition = models.find(({ name }) => name === c.req.param('model'));
    const guard = {
      isPublic: definition?.isPublic === true,
      scope: MODEL_RULE.scope,
      limitsRows: definition?.entity.rows !== undefined,
    };
    const admitted = await gateway.admit(c, guard);
    const principal = guard.isPublic ? undefined : admitted;
    const assertOwn = (key: string) => {
      if (definition !== undefined && principal !== undefined)
        assertOwnRow(principal, definition.entity, key, '/key');
    };
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    if (definition === undefined) {
      throw new Failure('unknown_model', `The catalog declares no model "${c.req.param('model')}".`, {
        pointer: 'model',
      });
    }
    const asked = itemsOf(body);
    const ofReasons = isTensorRequest(body) ? 0 : reasonUnits(definition, asked);
    await gateway.charge(c, { cost: MODEL_RULE.cost, units: predictionUnits(asked) + ofReasons });
    const consistency = consistencyOf(c.req.raw.headers);
    const answered = ({ value, asOf }: { readonly value: unknown; readonly asOf?: Moment }) => {
      const response = c.json(value);
      markDegraded(response.headers, value);
      const token = ports.tokenAt(asOf);
      if (token !== undefined) response.headers.set('millrace-token', token);
      return response;
    };
    const charge = (rows: number) =>
      gateway.charge(c, { cost: MODEL_RULE.cost, units: unitsOf('predictionOfItem', rows) });
    const watched = ports.watch();
    const note = new ServedNote(definition, ports.served);
    // What becomes of up to 200 scores of a ranking, nobody knows: the answers at its path are logged.
    const drafted = definition.task === 'ranking' ? undefined : note.drafted;
    const inSpan = <Answer extends Pick<Loaded, 'value'>>(
      work: (within: PredictionPorts, predicting: ReturnType<typeof predictPorts>) => Promise<Answer>,
    ) =>
      predictInSpan(spanOfRequest(c), definition, (span) => {
        const own = portsIn(ports, span);
        const features = keptFeatures(own, consistency, watched);
        const by = { deadline, watched, features, drafted };
        const predicting = predictPorts(own, definition, consistency, by, charge);
        return work(own, namingTraining(predicting, span));
      });
    const { inference } = await ports.phases();
    if (isTensorRequest(body)) {
      if (inference === 'off') throw phaseOff('inference');
      const ran = await withinNamed(c.req.raw, ports.keepAlive, () =>
        inSpan(async (own) => {
          const { model, isCurrent } = await championOf(own, definition, consistency, watched);
          const { name, version } = model.manifest;
          const predictionId = newId();
          const degraded: DegradedReason | undefined = isCurrent ? undefined : 'model_unverified';
          const outputs = await runTensors(model, body, { id: predictionId, degraded }, own);
          return { value: { model: { name, version }, predictionId, ...outputs }, degraded };
        }),
      );
      const response = answered({ value: ran.value, asOf: await watched.moment() });
      if (ran.degraded !== undefined) setDegraded(response.headers, 'model', ran.degraded);
      return response;
    }
    if (definition.task !== 'ranking') {
      const request = { ...predictionOf(definition, body), pointerPrefix: '/request/' };
      assertOwn(request.key);
      await assertMayInclude(gateway, c, definition.entity, request.include);
      const ask: RolloutRequest['ask'] = (by, isShadow) =>
        predict(definition, isShadow ? { ...request, include: [] } : request, by);
      const predicted = await inSpan((own, by) => inRollout(definition, request.key, ask, by, own));
      const loaded = await inMoment(predicted, watched, deadline);
      note.answered(loaded, () => requestIdOf(c), 0);
      if (loaded.isDegraded !== true || ports.phasesKnown().inference === 'off') return answered(loaded);
      const { value } = loaded;
      const standIn = standInValue(inMemory(definition, request, consistency, ports), value);
      return answered({ value: standIn ?? value, asOf: null });
    }
    const { key, items, include } = rankingOf(definition, body);
    assertOwn(key);
    await assertMayInclude(gateway, c, definition.entity, include);
    const check = (model: LoadedRanking) => assertItemsExist(definition, model, items ?? [], ports);
    const request = { key, items, limit: ITEMS_MAX, now: systemNow(), include };
    const ask: RolloutRequest['ask'] = (by, isShadow) =>
      recommend(definition, isShadow ? { ...request, include: [] } : { ...request, check }, by);
    const loaded = await inSpan((own, by) => inRollout(definition, key, ask, by, own));
    return answered(await inMoment(loaded, watched, deadline));
  });
}

/** Answers by the version that the model's rollout, if it has one, gives the entity. */
function inRollout(
  definition: ModelDefinition,
  key: string,
  ask: RolloutRequest['ask'],
  predicting: ReturnType<typeof predictPorts>,
  { rollouts }: PredictionPorts,
): Promise<Loaded> {
  if (definition.rollout === undefined) return ask(predicting, false);
  return answerInRollout({ definition, key, ask }, predicting, rollouts, {});
}

/** The answer of the model's path for the same request that is in memory and may stand in. */
function inMemory(
  model: PredictionModel,
  { key, request, include }: ReturnType<typeof predictionOf>,
  consistency: Consistency,
  { standIn }: PredictionPorts,
): CachedAnswer | undefined {
  const route = modelRoute(model);
  const values = route && model.entity.key.parse(key);
  if (route === undefined || values === undefined) return undefined;
  const input = { ...route.paramsOf(values), ...request, include: includeText(include) };
  const load = () => Promise.reject(new Error('An answer that stands in is not loaded.'));
  return standIn({
    ...{ view: model.name, key: keyOf(route, input), policy: model.policy, consistency, load },
  });
}

function describePrediction(
  app: OpenAPIHono<AppEnv>,
  model: ModelDefinition,
  request: z.ZodType,
  answer: z.ZodType,
): void {
  const facts = {
    ...MODEL_RULE,
    scope: model.isPublic ? null : MODEL_RULE.scope,
    declaredBy: `model ${model.name}`,
    owner: model.owner,
    replaced: endOfPredictions(model),
    policy: undefined,
    takesPrincipal: false,
  };
  registerCatalogPath(app.openAPIRegistry, facts, {
    method: 'post',
    path: `/v1/predictions/${model.name}`,
    operationId: `predict${pascalCase(model.name)}`,
    summary: `${model.description} For an entity by its key, or the graph's outputs for tensors`,
    tags: ['models'],
    request: {
      headers: consistencyHeaders.extend(deadlineHeader),
      body: { required: true, content: { 'application/json': { schema: request } } },
    },
    responses: {
      200: json('The prediction for the key, or the output tensors.', answer, ['Millrace-Token']),
      412: problem('`Millrace-Token` is from another epoch of the clock, or from the future.'),
      422: problem(
        'The key is none of the entity, a tensor does not fit the model, an item does not exist, or the answer cannot be explained exactly.',
      ),
      503: problem('No version has been published, or it cannot be loaded, and the model has no fallback.'),
    },
  });
}

function isTensorRequest(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'inputs' in body;
}

/** How many items or rows a request asks for; a ranking without items scores all candidates that the model knows. */
function itemsOf(body: unknown): unknown {
  if (typeof body !== 'object' || body === null) return 1;
  if ('items' in body && Array.isArray(body.items)) return body.items.length;
  if (!('inputs' in body) || !Array.isArray(body.inputs)) return 'key' in body ? ITEMS_MAX : 1;
  const [input]: unknown[] = body.inputs;
  const shape: unknown =
    typeof input === 'object' && input !== null ? Reflect.get(input, 'shape') : undefined;
  return Array.isArray(shape) ? shape[0] : 1;
}

function predictionOf(definition: PredictionModel, body: unknown) {
  const sent = parsed(predictionRequest(definition), body);
  const key = canonicalKey(definition.entity, EntityKey.parse(sent['key']), '/key');
  // A model without fields of the request takes no `request`.
  const request = definition.request.parse(sent['request'] ?? {});
  return { key, request, include: z.array(z.enum(INCLUDED)).parse(sent['include'] ?? []) };
}

function rankingOf(definition: RankingModel, body: unknown) {
  const { key, items, include = [] } = parsed(RankingRequest, body);
  return { definition, key: canonicalKey(definition.entity, key, '/key'), items, include };
}

async function runTensors(
  { graph, manifest }: LoadedModel,
  body: unknown,
  { id, degraded }: { readonly id: string; readonly degraded: DegradedReason | undefined },
  { predicted }: PredictionPorts,
): Promise<object> {
  const inputs = inputTensors(body, graph.inputs);
  let outputs: Tensors;
  try {
    outputs = await graph.run(inputs);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(
      'tensor_mismatch',
      'The graph cannot run on these tensors. Check that dimensions which its inputs share are equal.',
      { pointer: '/inputs', cause: error },
    );
  }
  assertJsonElements(Object.values(outputs), 'outputs', 'Send fewer rows.');
  for (const [name, tensor] of Object.entries(outputs)) {
    const wrong = nonFiniteAt(tensor);
    if (wrong >= 0)
      throw new Failure(
        'tensor_mismatch',
        `For these inputs the output "${name}" is ${String(tensor.data[wrong])} at position ${wrong}, and JSON has finite numbers only.`,
        { pointer: '/inputs' },
      );
  }
  const rows = Object.values(outputs)[0]?.shape[0] ?? 1;
  const outcome = { items: rows, source: 'tensor', degraded } as const;
  predicted(predictionFacts({ id, at: systemNow(), manifest, subject: undefined, outcome }));
  return {
    outputs: Object.entries(outputs).map(([name, tensor]) => ({
      name,
      datatype: tensor.datatype,
      shape: tensor.shape,
      data: toJson(tensor),
    })),
  };
}

/** The model knows the items of its training. The database is asked about newer items. */
async function assertItemsExist(
  { itemEntity }: RankingModel,
  { candidates }: LoadedRanking,
  items: readonly string[],
  { missingKeys }: PredictionPorts,
): Promise<void> {
  const newer = items.filter((item) => !candidates.has(item));
  if (newer.length === 0) return;
  const keys = newer.map((item) => itemEntity.key.parse(item));
  const malformed = keys.indexOf(undefined);
  const known = keys.filter((key) => key !== undefined);
  const [missing] = malformed >= 0 ? [malformed] : await missingKeys(itemEntity, known);
  const item = missing === undefined ? undefined : newer[missing];
  if (item === undefined) return;
  throw new Failure('unknown_item', `There is no ${itemEntity.name} "${item}".`, {
    pointer: `/items/${items.indexOf(item)}`,
  });
}

import type { OpenAPIHono } from '@hono/zod-openapi';
import type { CachedAnswer } from '../../cache/cached-answer.ts';
import type { ReadRequest } from '../../cache/read-through.ts';
import type { ModelDefinition } from '../../define/model.ts';
import type { Loaded } from '../../define/view.ts';
import { declaredAnswer } from '../../inference/declared-answer.ts';
import { includedIn } from '../../inference/explain/include.ts';
import { predict } from '../../inference/predict.ts';
import { type RecommendPorts, recommend } from '../../inference/recommend.ts';
import { type ArmVariant, answerInRollout, variantOf } from '../../inference/rollout/serve.ts';
import { systemNow } from '../../platform/clock.ts';
import { type Deadline, DeadlinePassed } from '../../platform/deadline.ts';
import { newId } from '../../platform/ids.ts';
import type { PhaseStates } from '../../platform/phases.ts';
import { NO_SPAN, type Span } from '../../platform/tracing/span.ts';
import { assertAcceptsJson } from '../accept.ts';
import { CachedResponses, consistencyOf } from '../cached-response.ts';
import { honoPath, inputOf, keyOf } from '../cached-routes.ts';
import { type ChampionPorts, featuresOfShards, inMoment, predictPorts, rolloutOf } from '../champion.ts';
import { type AppEnv, type Gateway, type PortsOf, requestIdOf } from '../context.ts';
import { pascalCase } from '../contract/operation-id.ts';
import { registerCatalogPath } from '../contract/operations.ts';
import type { CachedCors } from '../cors.ts';
import { deadlineHeader, deadlineOf } from '../deadline.ts';
import { GRACE_MS, markDegraded, reasonOf, shownInPath } from '../degraded.ts';
import { announce, endOfPath, nameOfModel } from '../deprecation.ts';
import { assertMayInclude, reasonUnits } from '../included-parts.ts';
import { predictionUnits, unitsOf } from '../limits/weights.ts';
import { modelRoute } from '../model-routes.ts';
import type { ModelSchemas } from '../model-schemas.ts';
import { cachedReadHeaders, json, problem } from '../openapi.ts';
import { assertOwnRow } from '../principals/row-access.ts';
import { MODEL_RULE } from '../route-rules.ts';
import { ServedNote } from '../served.ts';
import { namingTraining, portsIn, predictInSpan } from '../traced-predictions.ts';

export interface ModelPathPorts extends ChampionPorts, Pick<RecommendPorts, 'predicted'> {}

type Input = Readonly<Record<string, unknown>>;

/** Serves a model's answers for an entity at its path, through the cache. A model without a path has no route. */
export function registerModelPath(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  modelPathsOf: PortsOf<ModelPathPorts>,
  model: ModelDefinition,
  schemas: ReadonlyMap<ModelDefinition, ModelSchemas>,
  pages: CachedCors,
): void {
  const route = modelRoute(model);
  const answerSchema = schemas.get(model)?.answer;
  if (route === undefined || answerSchema === undefined) return;
  const { params, query, path } = route;
  const guard = {
    isPublic: model.isPublic,
    scope: MODEL_RULE.scope,
    limitsRows: model.entity.rows !== undefined,
  };
  const end = endOfPath(model);
  const facts = {
    ...MODEL_RULE,
    scope: model.isPublic ? null : MODEL_RULE.scope,
    declaredBy: `model ${model.name}`,
    owner: model.owner,
    replaced: end,
    policy: model.policy,
    takesPrincipal: false,
  };
  registerCatalogPath(app.openAPIRegistry, facts, {
    method: 'get',
    path,
    operationId: `read${pascalCase(model.name)}`,
    summary: model.description,
    tags: ['models'],
    request: {
      params,
      query: model.task === 'ranking' ? query : model.request,
      headers: cachedReadHeaders.extend(deadlineHeader),
    },
    responses: {
      200: json(
        'The answer for the entity. `source` names where it comes from; `degraded` has the reason if that is not the model.',
        answerSchema,
      ),
      304: { description: 'The answer that the client has is still current.' },
      412: problem('`Millrace-Token` is from another epoch of the clock, or from the future.'),
      ...(model.task === 'ranking' ? {} : { 422: problem('The answer cannot be explained exactly.') }),
      503: problem('No version has been published, or it cannot be loaded, and the model has no fallback.'),
    },
  });
  const responses = new CachedResponses(
    model.isPublic ? [] : ['Authorization', ...pages.vary],
    pages.headers,
  );
  app.get(honoPath(path), async (c) => {
    const ports = modelPathsOf(c);
    // Before the key and the budget are looked up: that is a part of the request's time.
    const deadline = deadlineOf(c.req.raw, ports.deadlineMs);
    const admitted = await gateway.admit(c, guard);
    const principal = model.isPublic ? undefined : admitted;
    await gateway.charge(c, { cost: MODEL_RULE.cost, units: unitsOf('hit') });
    assertAcceptsJson(c.req.raw.headers);
    if (end !== undefined) gateway.noteDeprecated(c, nameOfModel(model));
    const startedAt = systemNow();
    const { input } = inputOf(route, c.req);
    const consistency = consistencyOf(c.req.raw.headers);
    const key = route.keyIn(input);
    if (principal !== undefined) assertOwnRow(principal, model.entity, key, 'path');
    await assertMayInclude(gateway, c, model.entity, includedIn(input['include']));
    const { inference } = await phasesInTime(ports, deadline);
    const variant = variantOf(await rolloutOf(ports, model, consistency, deadline), key);
    let late: Loaded | undefined;
    const load = async (_now: number, span: Span = NO_SPAN) => {
      const charge = (rows: number) =>
        gateway.charge(c, { cost: MODEL_RULE.cost, units: unitsOf('predictionOfItem', rows) });
      return await predictInSpan(span, model, async (own) => {
        const inSpan = portsIn(ports, own);
        const watched = inSpan.watch();
        const note = new ServedNote(model, ports.served);
        const { drafted } = note;
        // From the shards: the answer is kept itself.
        const features = featuresOfShards(watched);
        const by = { deadline, watched, features, drafted };
        const predicting = predictPorts(inSpan, model, consistency, by, charge);
        late = await answerFor(model, { key, input, variant }, namingTraining(predicting, own), ports);
        const loaded = await inMoment(late, watched, deadline);
        note.answered(loaded, () => requestIdOf(c), model.policy.ttlS);
        return loaded;
      });
    };
    const request: ReadRequest = {
      view: model.name,
      key: keyOf(route, input, variant),
      purgeKey: keyOf(route, input),
      policy: inference === 'off' ? { ...model.policy, ...NOTHING_STALE } : model.policy,
      consistency,
      deadline,
      beforeFill: () => {
        const { limit } = input;
        const units = predictionUnits(limit) + reasonUnits(model, limit);
        return gateway.charge(c, { cost: MODEL_RULE.cost, units });
      },
      load,
    };
    const read = ports.read(request);
    const found =
      read instanceof Promise
        ? await inTime(read, request, () => declaredAnswer(model, { key, input }, newId()), ports)
        : read;
    const { answer, value } =
      'entry' in found ? shownInPath(found, reasonOf(late?.value)) : { answer: undefined, ...found };
    const response =
      answer === undefined ? c.json(value) : responses.of(answer, c.req.raw.headers, systemNow() - startedAt);
    markDegraded(response.headers, value);
    if (end !== undefined) announce(response, end, c.req.param());
    pages.mark?.(response, c.req.raw);
    return response;
  });
}

/** While models are switched off, none of their earlier answers stands in. */
const NOTHING_STALE = { staleIfErrorS: 0, staleWhileRevalidateS: 0 } as const;

/** The states of the phases; after the deadline the last known ones. */
async function phasesInTime(
  { phases, phasesKnown }: Pick<ChampionPorts, 'phases' | 'phasesKnown'>,
  deadline: Deadline,
): Promise<PhaseStates> {
  const asked = phases();
  if (!(asked instanceof Promise)) return asked;
  return await deadline.within(asked).catch(phasesKnown);
}

/**
 * The answer of the cache. If the cache itself does not answer within the deadline, the stale answer in memory stands in,
 * then what is declared. Without either the cache is waited for.
 */
async function inTime(
  reading: Promise<CachedAnswer>,
  request: ReadRequest,
  declared: () => Pick<Loaded, 'value'> | undefined,
  ports: ModelPathPorts,
): Promise<CachedAnswer | Pick<Loaded, 'value'>> {
  try {
    return (await request.deadline?.within(reading, GRACE_MS)) ?? (await reading);
  } catch (error) {
    if (!(error instanceof DeadlinePassed)) throw error;
    const isOff = ports.phasesKnown().inference === 'off';
    const standIn = (isOff ? undefined : ports.standIn(request)) ?? declared();
    if (standIn === undefined) return await reading;
    ports.keepAlive(reading.catch(() => undefined));
    return standIn;
  }
}

/** What a path is asked for. */
interface PathRequest {
  readonly key: string;
  readonly input: Input;
  readonly variant: ArmVariant;
}

async function answerFor(
  model: ModelDefinition,
  { key, input, variant }: PathRequest,
  predicting: ReturnType<typeof predictPorts>,
  { rollouts }: ModelPathPorts,
): Promise<Loaded> {
  const ask = (ports: typeof predicting, isShadow: boolean) =>
    answerBy(model, key, isShadow ? { ...input, include: undefined } : input, isShadow, ports);
  if (model.rollout === undefined) return await ask(predicting, false);
  return await answerInRollout({ definition: model, key, ask }, predicting, rollouts, variant);
}

async function answerBy(
  model: ModelDefinition,
  key: string,
  input: Input,
  isShadow: boolean,
  ports: ReturnType<typeof predictPorts>,
): Promise<Loaded> {
  const include = includedIn(input['include']);
  if (model.task !== 'ranking') {
    const fields = Object.keys(model.request.shape).map((field) => [field, input[field]]);
    const request = { key, request: Object.fromEntries(fields), pointerPrefix: '', include };
    return await predict(model, request, ports);
  }
  const asked = { key, items: undefined, limit: Number(input['limit']), now: systemNow(), include };
  return await recommend(model, { ...asked, explores: !isShadow }, ports);
}

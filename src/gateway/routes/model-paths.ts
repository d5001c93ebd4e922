import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Services } from '../../composition/services.ts';
import type { ModelDefinition } from '../../define/model.ts';
import type { Loaded } from '../../define/view.ts';
import { asRanking } from '../../inference/loaded-models.ts';
import { predict } from '../../inference/predict.ts';
import { recommend } from '../../inference/recommend.ts';
import { CachedResponses, consistencyOf } from '../cached-response.ts';
import { honoPath, inputOf, keyOf } from '../cached-routes.ts';
import { championOf, predictPorts } from '../champion.ts';
import type { AppEnv, Gateway } from '../context.ts';
import { modelRoute } from '../model-routes.ts';
import type { ModelSchemas } from '../model-schemas.ts';
import { consistencyHeaders, problem } from '../openapi.ts';

type Consistency = ReturnType<typeof consistencyOf>;
type Input = Readonly<Record<string, unknown>>;

/** Serves what models answer for an entity at their paths, through the cache: rankings and predictions. */
export function registerModelPaths(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  schemas: ReadonlyMap<ModelDefinition, ModelSchemas>,
): void {
  for (const [model, { answer }] of schemas) registerModelPath(app, gateway, model, answer);
}

function registerModelPath(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  model: ModelDefinition,
  answerSchema: ModelSchemas['answer'],
): void {
  const route = modelRoute(model);
  if (route === undefined) return;
  const { params, query, path } = route;
  app.openAPIRegistry.registerPath({
    method: 'get',
    path,
    summary: model.description,
    tags: ['models'],
    request: {
      params,
      query: model.task === 'ranking' ? query : model.request,
      headers: consistencyHeaders,
    },
    responses: {
      200: {
        description:
          'The answer for the entity. `source` names what gave it, `degraded` the reason where it was not the model.',
        content: { 'application/json': { schema: answerSchema } },
      },
      304: { description: 'The answer that the client has is still right.' },
      400: problem('A parameter or header is wrong.'),
      503: problem('No version has been published, or it cannot be loaded, and there is no fallback.'),
    },
  });
  const responses = new CachedResponses();
  app.get(honoPath(path), async (c) => {
    const services = gateway.servicesOf(c);
    const startedAt = services.now();
    const input = inputOf(route, c.req);
    const consistency = consistencyOf(c.req.raw);
    const key = route.keyIn(input);
    const answer = await services.read({
      view: model.name,
      key: keyOf(route, input),
      policy: model.policy,
      consistency,
      load: () => answerFor(model, key, input, services, consistency),
    });
    return responses.of(answer, c.req.raw, services.now() - startedAt);
  });
}

async function answerFor(
  model: ModelDefinition,
  key: string,
  input: Input,
  services: Services,
  consistency: Consistency,
): Promise<Loaded> {
  if (model.task !== 'ranking') {
    const fields = Object.keys(model.request.shape).map((field) => [field, input[field]]);
    const request = { key, request: Object.fromEntries(fields), pointerPrefix: '' };
    return await predict(model, request, predictPorts(services, model, consistency));
  }
  return await recommend(model, key, Number(input['limit']), {
    champion: async () => asRanking(await championOf(services, model, consistency)),
    shards: services.shards,
    now: services.now,
    newId: services.newId,
    predicted: services.tellLineage,
  });
}

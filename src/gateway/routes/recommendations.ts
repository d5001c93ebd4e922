import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { cachePolicy } from '../../define/cache-policy.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { type RecommendPorts, recommend } from '../../inference/recommend.ts';
import { systemNow } from '../../platform/clock.ts';
import { newId } from '../../platform/ids.ts';
import { CachedResponses, consistencyOf } from '../cached-response.ts';
import { type CachedRoute, honoPath, inputOf, keyOf } from '../cached-routes.ts';
import { type ChampionPorts, championOf } from '../champion.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { consistencyHeaders, problem, securityOf, unauthorizedOf } from '../openapi.ts';

/** A page of recommendations is at most half of the candidates of one batch through the model. */
const LIMIT_MAX = 100;

/** Scores move with the days since a purchase: an hour is well within what a ranking notices. */
const POLICY = cachePolicy({ ttlS: 3_600, probe: false });

export interface RankingPorts extends ChampionPorts, Pick<RecommendPorts, 'shards' | 'predicted'> {}

/** Serves the ranking of every model of the catalog at its path, through the cache. */
export function registerRecommendations(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  rankingsOf: PortsOf<RankingPorts>,
): void {
  for (const model of gateway.catalog.models) registerRanking(app, gateway, rankingsOf, model);
}

/** The ranking of a model as a cached route, named after the model. */
export function rankingRoute(model: ModelDefinition): CachedRoute & { readonly parameter: string } {
  const parameter = /\{(\w+)\}/.exec(model.path)?.[1];
  if (parameter === undefined) throw new Error(`The path of the model "${model.name}" has no parameter.`);
  const [part] = model.entity.key.columns;
  if (part === undefined || model.entity.key.columns.length > 1)
    throw new Error(`The model "${model.name}" ranks for an entity with a key of one column.`);
  const params = z.object({ [parameter]: part.schema });
  const query = z.object({ limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(10) });
  return { view: model.name, path: model.path, params, query, parameter };
}

function registerRanking(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  rankingsOf: PortsOf<RankingPorts>,
  model: ModelDefinition,
): void {
  const { parameter, params, query } = rankingRoute(model);
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: model.path,
    summary: model.description,
    tags: ['models'],
    ...securityOf(model),
    request: { params, query, headers: consistencyHeaders },
    responses: {
      200: {
        description:
          'Items with scores, best first. `source` tells who ranked them, `degraded` why it was not the model.',
        content: { 'application/json': { schema: rankingSchema(model) } },
      },
      304: { description: 'The answer that the client has is still right.' },
      400: problem('A parameter or header is wrong.'),
      ...unauthorizedOf(model),
      503: problem('No model has been published, or it cannot be loaded.'),
    },
  });
  const responses = new CachedResponses(model.isPublic ? [] : ['Authorization']);
  app.get(honoPath(model.path), async (c) => {
    if (!model.isPublic) gateway.admit(c, model);
    const ports = rankingsOf(c);
    const startedAt = systemNow();
    const input = inputOf({ params, query }, c.req);
    const key = model.entity.key.textOf(String(input[parameter]));
    const limit = Number(input['limit']);
    const consistency = consistencyOf(c.req.raw);
    const answer = await ports.read({
      view: model.name,
      key: keyOf({ view: model.name }, input),
      policy: POLICY,
      consistency,
      load: async () =>
        await recommend(model, key, limit, {
          champion: () => championOf(ports, model, consistency),
          shards: ports.shards,
          now: systemNow,
          newId,
          predicted: ports.predicted,
        }),
    });
    return responses.of(answer, c.req.raw, systemNow() - startedAt);
  });
}

function rankingSchema(model: ModelDefinition): z.ZodType {
  return z.object({
    [model.entity.name]: z.string(),
    items: z.array(z.object({ item: z.string(), score: z.number() })),
    model: z.object({ name: z.string(), version: z.string() }),
    /** Of `/v1/lineage/prediction/{id}`; a cached answer has the one with which it was computed. */
    predictionId: z.uuid(),
    source: z.enum(['model', 'popularity']),
    degraded: z.string().optional(),
  });
}

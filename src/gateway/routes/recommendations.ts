import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { DEFAULT_CACHE_POLICY } from '../../catalog/define/view.ts';
import { CustomerId } from '../../catalog/entities.ts';
import { ranker } from '../../catalog/models.ts';
import { recommend } from '../../inference/recommend.ts';
import { cachedResponse, consistencyOf } from '../cached-response.ts';
import type { AppEnv } from '../context.ts';
import { championOf } from '../champion.ts';
import { problem } from '../openapi.ts';

/** A page of recommendations is at most as long as the candidates of one batch through the model. */
const LIMIT_MAX = 100;

const Recommendations: z.ZodType = z
  .object({
    customer: z.string(),
    items: z.array(z.object({ item: z.string(), score: z.number() })),
    model: z.object({ name: z.string(), version: z.string() }),
    source: z.enum(['model', 'popularity']),
    degraded: z.string().optional(),
  })
  .openapi('Recommendations');

const route = createRoute({
  method: 'get',
  path: '/v1/customers/{id}/recommendations',
  summary: 'What this customer will buy next, best first',
  tags: ['models'],
  request: {
    params: z.object({ id: CustomerId }),
    query: z.object({ limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(10) }),
  },
  responses: {
    200: {
      description: 'Items with scores. `source` tells who ranked them, `degraded` why it was not the model.',
      content: {
        'application/json': {
          schema: Recommendations,
        },
      },
    },
    304: { description: 'The answer that the client has is still right.' },
    400: problem('A parameter or header is wrong.'),
    503: problem('No model has been published, or it cannot be loaded.'),
  },
});

/** Scores move with the days since a purchase: an hour is well within what a ranking notices. */
const POLICY = { ...DEFAULT_CACHE_POLICY, ttlS: 3_600 };

export function registerRecommendations(app: OpenAPIHono<AppEnv>): void {
  app.openapi(route, async (c) => {
    const { services } = c.var;
    const startedAt = services.now();
    const { id } = c.req.valid('param');
    const { limit } = c.req.valid('query');
    const consistency = consistencyOf(c.req.raw);
    const answer = await services.read({
      key: `recommendations/${ranker.name}/${id}/${limit}`,
      policy: POLICY,
      consistency,
      load: async () =>
        await recommend(ranker, id, limit, {
          champion: () => championOf(services, ranker, consistency),
          shards: services.shards,
          now: services.now,
        }),
    });
    return cachedResponse(answer, c.req.raw, startedAt, services.now());
  });
}

import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { ModelDefinition } from '../../define/model.ts';
import { SkewFinding } from '../../inference/feedback/skew.ts';
import { calling, Failure } from '../../platform/failure.ts';
import { parsed } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { ModelName } from '../models/schemas.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { modelAt } from './admin-models.ts';

const LIMIT_MAX = 50;
const RETRY_S = 5;
const AWAY = 'The log of served predictions, the database or the model does not answer.';

const Query = z.strictObject({ limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(10) });
const Count = z.int().nonnegative();
const Shown = z
  .object({
    name: z.string(),
    matches: Count,
    mismatches: Count.openapi({ description: 'has to be 0' }),
    unknown: Count.openapi({ description: 'answers that cannot be computed again' }),
    answers: z.array(SkewFinding),
  })
  .openapi('ModelSkew');

export interface SkewRoutePorts {
  /** Computes logged answers again, at most `limit`. It throws any error of a peer. */
  readonly check: (definition: ModelDefinition, limit: number) => Promise<SkewFinding[]>;
}

/** Computes answers that were served again from history, and compares. */
export function registerSkew(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<SkewRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/models/{model}/skew',
    operationId: 'getSkew',
    summary: 'Computes some answers of the last hour again from history, and compares them',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ model: ModelName }), query: Query },
    responses: {
      200: json('What came of it.', Shown),
      404: problem('The catalog declares no such model.'),
      422: problem('The model declares no feedback, so its answers are not logged.'),
      503: problem(AWAY),
    },
  });
  app.get('/v1/admin/models/:model/skew', async (c) => {
    const definition = modelAt(c, gateway);
    const { name, feedback } = definition;
    const { limit } = parsed(Query, c.req.query());
    if (feedback === undefined)
      throw new Failure('unprocessable', `"${name}" declares no \`feedback\`.`, { pointer: 'model' });
    const work = () => portsOf(c).check(definition, limit);
    const answers = await calling(work, 'statistics_unavailable', AWAY, RETRY_S);
    const of = (wanted: SkewFinding['verdict']) => answers.filter(({ verdict }) => verdict === wanted).length;
    const shown = { name, matches: of('match'), mismatches: of('mismatch'), unknown: of('unknown'), answers };
    return c.json(shown, 200, { 'cache-control': 'no-store' });
  });
}

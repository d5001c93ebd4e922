import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { type FeedbackCounts, FeedbackReport, reportOf } from '../../inference/feedback/report.ts';
import { systemNow } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { parsed } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { ModelName } from '../models/schemas.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { modelAt } from './admin-models.ts';

const DAYS_MAX = 400;
const DAY_MS = 86_400_000;

const Query = z.strictObject({ days: z.coerce.number().int().min(1).max(DAYS_MAX).default(30) });
const Shown = FeedbackReport.extend({
  name: z.string(),
  since: z.iso.date().openapi({ description: 'the day, UTC, from which on answers count' }),
  share: z.number().openapi({ description: 'the share of the answers that are logged' }),
  withinMs: z.int().openapi({ description: 'how long after an answer an event counts' }),
  explored: z.number().openapi({ description: 'the declared share of explored answers' }),
}).openapi('ModelFeedback');

export interface FeedbackRoutePorts {
  /** @throws Failure `statistics_unavailable` */
  readonly counts: (model: string, day: string) => Promise<FeedbackCounts>;
}

/** Shows what later events say of the answers of a model. */
export function registerFeedback(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<FeedbackRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/models/{model}/feedback',
    operationId: 'getFeedback',
    summary: 'Shows the online hit rate of each version of a model, with its interval',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ model: ModelName }), query: Query },
    responses: {
      200: json('The hit rates.', Shown),
      404: problem('The catalog declares no such model.'),
      422: problem('The model declares no feedback.'),
      503: problem('The object that joins answers with events does not answer.'),
    },
  });
  app.get('/v1/admin/models/:model/feedback', async (c) => {
    const definition = modelAt(c, gateway);
    const { name, feedback } = definition;
    const { days } = parsed(Query, c.req.query());
    if (feedback === undefined)
      throw new Failure('unprocessable', `"${name}" declares no \`feedback\`.`, { pointer: 'model' });
    const since = new Date(systemNow() - (days - 1) * DAY_MS).toISOString().slice(0, 10);
    const explored = definition.task === 'ranking' ? (definition.exploration?.share ?? 0) : 0;
    const { share, withinMs } = feedback;
    const report = reportOf(await portsOf(c).counts(name, since));
    const shown = { name, since, share, withinMs, explored, ...report };
    return c.json(shown, 200, { 'cache-control': 'no-store' });
  });
}

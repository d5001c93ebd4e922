import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { catalog } from '../../catalog/index.ts';
import type { Env } from '../../env.ts';
import { QualityReport, qualityReportOf } from '../../operations/quality/report.ts';
import { UNRECOGNISED } from '../../pipeline/quality/assess.ts';
import { type QualityCounts, WINDOW_NAMES } from '../../pipeline/quality/windows.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { qualityWindow } from '../../storage/objects.ts';
import { type AppEnv, servicesOf } from '../context.ts';
import { authorize } from '../middleware/authorize.ts';
import { keySecurity, problem } from '../openapi.ts';

const Query = z.object({
  type: z
    .enum([UNRECOGNISED, ...catalog.events.map(({ type }) => type)])
    .optional()
    .openapi({ description: 'One event type alone; the gate is of it, too.' }),
  window: z.enum(WINDOW_NAMES).optional().openapi({ description: 'One window alone.' }),
});

/** How good the data are that came in, and whether the gate holds. */
export function registerQuality(app: OpenAPIHono<AppEnv>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/quality',
    summary: 'Scores of the events of each type, by dimension and rule, over sliding windows; and the gate',
    tags: ['operations'],
    security: keySecurity,
    request: { query: Query },
    responses: {
      200: {
        description: 'Each score with the counts that it follows from.',
        content: { 'application/json': { schema: QualityReport } },
      },
      400: problem('No such event type, or no such window.'),
      401: problem('A key is needed.'),
      503: problem('The counts do not answer.'),
    },
  });
  app.get('/v1/quality', authorize, async (c) => {
    const query = Query.safeParse(c.req.query());
    if (!query.success) {
      const issue = query.error.issues[0];
      throw new Failure('invalid_request', issue?.message ?? 'The query is not valid.', {
        pointer: jsonPointer(issue?.path ?? []).slice(1),
      });
    }
    const { type, window } = query.data;
    const counts = await countsOf(servicesOf(c).env);
    const windows = window === undefined ? WINDOW_NAMES : [window];
    const report = qualityReportOf(counts, catalog.eventTypes, { type, windows });
    return c.json(report, 200, { 'cache-control': 'no-store' });
  });
}

/** @throws Failure `statistics_unavailable` */
export async function countsOf(env: Env): Promise<QualityCounts> {
  try {
    return await qualityWindow(env).counts();
  } catch (error) {
    throw new Failure('statistics_unavailable', 'The counts of the quality do not answer.', {
      retryAfterS: 5,
      cause: error,
    });
  }
}

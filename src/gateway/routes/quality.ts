import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Env } from '../../composition/env.ts';
import { qualityWindow } from '../../composition/objects.ts';
import type { Catalog } from '../../define/catalog.ts';
import { QualityReport, qualityReportOf } from '../../operations/quality/report.ts';
import { UNRECOGNISED } from '../../pipeline/quality/assess.ts';
import { type QualityCounts, WINDOW_NAMES } from '../../pipeline/quality/windows.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import type { AppEnv, Gateway } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

/** How good the data are that came in, and whether the gate holds. */
export function registerQuality(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  const Query = queryOf(gateway.catalog);
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
  app.get('/v1/quality', gateway.authorize, async (c) => {
    const query = Query.safeParse(c.req.query());
    if (!query.success) {
      const issue = query.error.issues[0];
      throw new Failure('invalid_request', issue?.message ?? 'The query is not valid.', {
        pointer: jsonPointer(issue?.path ?? []).slice(1),
      });
    }
    const { type, window } = query.data;
    const counts = await countsOf(gateway.servicesOf(c).env);
    const windows = window === undefined ? WINDOW_NAMES : [window];
    const report = qualityReportOf(counts, gateway.catalog.eventTypes, { type, windows });
    return c.json(report, 200, { 'cache-control': 'no-store' });
  });
}

function queryOf({ events }: Catalog) {
  return z.object({
    type: z
      .enum([UNRECOGNISED, ...events.map(({ type }) => type)])
      .optional()
      .openapi({ description: 'One event type alone; the gate is of it, too.' }),
    window: z.enum(WINDOW_NAMES).optional().openapi({ description: 'One window alone.' }),
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

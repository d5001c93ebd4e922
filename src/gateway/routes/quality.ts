import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Catalog } from '../../define/catalog.ts';
import { QualityReport, qualityReportOf } from '../../operations/quality/report.ts';
import { UNRECOGNISED } from '../../pipeline/quality/assess.ts';
import { type QualityCounts, WINDOW_NAMES } from '../../pipeline/quality/windows.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

export interface QualityPorts {
  /** @throws Failure `statistics_unavailable` */
  readonly counts: () => Promise<QualityCounts>;
}

/** Shows the quality scores of the events that came in, and whether the gate holds. */
export function registerQuality(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  qualityOf: PortsOf<QualityPorts>,
): void {
  const Query = queryOf(gateway.catalog);
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/quality',
    operationId: 'getQuality',
    summary:
      'Reports scores of the events of each type, by dimension and rule, over sliding windows, and the verdict of the gate',
    tags: ['operations'],
    security: keySecurity,
    request: { query: Query },
    responses: {
      200: json('Scores, each with the counts from which it follows.', QualityReport),
      503: problem('The object with the counts does not answer.'),
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
    const counts = await qualityOf(c).counts();
    const windows = window === undefined ? WINDOW_NAMES : [window];
    const report = qualityReportOf(counts, gateway.catalog.eventTypes, { type, windows });
    return c.json(report, 200, { 'cache-control': 'no-store' });
  });
}

function queryOf({ events }: Catalog) {
  return z.object({
    type: z
      .enum([UNRECOGNISED, ...events.map(({ type }) => type).toSorted()])
      .optional()
      .openapi({ description: 'Only this event type; the gate covers only it, too.' }),
    window: z.enum(WINDOW_NAMES).optional().openapi({ description: 'Only this window.' }),
  });
}

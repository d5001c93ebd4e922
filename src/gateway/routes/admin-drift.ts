import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { type Drift, DriftWatchState } from '../../training/drift/watch.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { ModelName } from '../models/schemas.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { modelAt } from './admin-models.ts';

const Verdict = DriftWatchState.shape.latest.unwrap().openapi('DriftVerdict');
const Shown = z
  .object({
    since: z.string(),
    until: z.string().nullable().openapi({ description: 'null while the drift goes on' }),
    found: Verdict,
    training: z
      .object({ run: z.string().nullable(), why: z.string().nullable(), at: z.string() })
      .nullable()
      .openapi({
        description:
          'the training run that the drift began, or why it began none; null if the model asks for none',
      }),
  })
  .openapi('Drift');
const Watched = z
  .object({
    version: z.string(),
    seenAt: z.string().openapi({ description: 'when rows of the version were last counted' }),
    rows: z.int().openapi({ description: 'rows that were counted' }),
    falseAlarmRows: z.int(),
    threshold: z.number(),
    latest: z.union([Verdict, z.null()]),
    drifts: z.array(Shown).openapi({ description: 'the newest first' }),
  })
  .openapi('WatchedVersion');
const Report = z
  .object({
    name: z.string(),
    trainsOnDrift: z.boolean(),
    versions: z.array(Watched).openapi({ description: 'the version that was seen last first' }),
  })
  .openapi('DriftReport');

export interface DriftRoutePorts {
  /** @throws Failure `statistics_unavailable`. */
  readonly report: (model: string) => Promise<readonly WatchedRows[]>;
}

/** What has been seen of one version. Moments are in milliseconds since the Unix epoch. */
interface WatchedRows extends Omit<DriftWatchState, 'detector'> {
  readonly version: string;
  readonly atMs: number;
  readonly rows: number;
}

/** Shows whether the rows that a model is asked about drift. */
export function registerDrift(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<DriftRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/models/{model}/drift',
    operationId: 'getDrift',
    summary: 'Shows whether the rows that a model is asked about still look like those that it was judged on',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ model: ModelName }) },
    responses: {
      200: json('The versions that are watched.', Report),
      404: problem('The catalog declares no such model.'),
      503: problem('The object that watches the model does not answer.'),
    },
  });
  app.get('/v1/admin/models/:model/drift', async (c) => {
    const { name, retraining } = modelAt(c, gateway);
    const watched = await portsOf(c).report(name);
    const versions = watched.map(({ atMs, drifts, ...of }) => ({
      ...{ ...of, seenAt: momentOf(atMs), drifts: drifts.map(shownOf) },
    }));
    const shown = { name, trainsOnDrift: retraining.onDrift, versions };
    return c.json(shown, 200, { 'cache-control': 'no-store' });
  });
}

function shownOf({ sinceMs, untilMs, found, training }: Drift) {
  return {
    since: momentOf(sinceMs),
    until: untilMs === null ? null : momentOf(untilMs),
    found,
    training: training && { run: training.run, why: training.why, at: momentOf(training.atMs) },
  };
}

function momentOf(ms: number): string {
  return new Date(ms).toISOString();
}

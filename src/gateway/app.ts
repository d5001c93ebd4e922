import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { catalog } from '../catalog/index.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { type AppEnv, requestIdOf } from './context.ts';
import { authorize } from './middleware/authorize.ts';
import { problemResponse } from './problem.ts';
import { registerAdmin } from './routes/admin.ts';
import { registerCacheAdmin } from './routes/admin-cache.ts';
import { registerDeadLetters } from './routes/admin-dead-letters.ts';
import { registerKafka } from './routes/admin-kafka.ts';
import { registerLineageAdmin } from './routes/admin-lineage.ts';
import { registerQuarantine } from './routes/admin-quarantine.ts';
import { registerReplay } from './routes/admin-replay.ts';
import { registerChanges } from './routes/changes.ts';
import { registerEntityWrites } from './routes/entities.ts';
import { registerEvents } from './routes/events.ts';
import { registerFeatures } from './routes/features.ts';
import { registerHealth } from './routes/health.ts';
import { registerLineage } from './routes/lineage.ts';
import { registerMetrics } from './routes/metrics.ts';
import { registerPredictions } from './routes/predictions.ts';
import { registerQuality } from './routes/quality.ts';
import { registerRecommendations } from './routes/recommendations.ts';
import { registerViews } from './routes/views.ts';

/** Everything but reads; `authorize` knows the reads that need a body. */
const GUARDED_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * The cached reads. They have a router of their own: where a single route overlaps with another, hono gives up its
 * fastest router for all routes of an app, and a warm hit would pay for a route that it has nothing to do with.
 */
export const app = new OpenAPIHono<AppEnv>();
/** Everything else; one document describes both. */
const uncached = new OpenAPIHono<AppEnv>();
uncached.openAPIRegistry = app.openAPIRegistry;

app.onError(failed);
uncached.onError(failed);

app.notFound((c) => uncached.fetch(c.req.raw, c.env, c.executionCtx));
uncached.notFound((c) =>
  problemResponse(new Failure('not_found', 'No route is here; see /openapi.json.'), requestIdOf(c)),
);

// Reads of views pass through no middleware at all. What is forgotten in the lines below is closed, not open.
uncached.on(GUARDED_METHODS, '*', authorize);
for (const part of [app, uncached]) part.use('/v1/admin/*', authorize);

registerViews(app, catalog.views);
registerRecommendations(app, catalog.models);

registerHealth(uncached);
registerEntityWrites(uncached, catalog.entities);
registerEvents(uncached);
registerChanges(uncached);
registerFeatures(uncached);
registerPredictions(uncached);
registerAdmin(uncached);
registerCacheAdmin(uncached);
registerQuarantine(uncached);
registerDeadLetters(uncached);
registerReplay(uncached);
registerKafka(uncached);
registerLineage(uncached);
registerLineageAdmin(uncached);
registerMetrics(uncached);
registerQuality(uncached);

uncached.openAPIRegistry.registerComponent('securitySchemes', 'key', { type: 'http', scheme: 'bearer' });
uncached.doc31('/openapi.json', {
  openapi: '3.1.0',
  info: { title: 'Millrace', version: '1', description: 'A Postgres database and ONNX models at the edge.' },
});

function failed(error: Error, c: Context<AppEnv>): Response {
  const requestId = requestIdOf(c);
  if (!(error instanceof Failure) || error.cause !== undefined) {
    const fields = {
      'http.request.method': c.req.method,
      'url.path': c.req.path,
      'http.request.id': requestId,
    };
    log(error instanceof Failure ? 'warn' : 'error', 'A request failed.', fields, error);
  }
  return problemResponse(error, requestId);
}

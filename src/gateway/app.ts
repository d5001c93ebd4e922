import { OpenAPIHono } from '@hono/zod-openapi';
import { catalog } from '../catalog/index.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { type AppEnv, requestIdOf } from './context.ts';
import { authorize } from './middleware/authorize.ts';
import { problemResponse } from './problem.ts';
import { registerAdmin } from './routes/admin.ts';
import { registerCacheAdmin } from './routes/admin-cache.ts';
import { registerDeadLetters } from './routes/admin-dead-letters.ts';
import { registerLineageAdmin } from './routes/admin-lineage.ts';
import { registerQuarantine } from './routes/admin-quarantine.ts';
import { registerReplay } from './routes/admin-replay.ts';
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

export const app = new OpenAPIHono<AppEnv>();

app.onError((error, c) => {
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
});

app.notFound((c) =>
  problemResponse(new Failure('not_found', 'No route is here; see /openapi.json.'), requestIdOf(c)),
);

// Reads of views pass through no middleware at all. What is forgotten in the two lines below is closed, not open.
app.on(GUARDED_METHODS, '*', authorize);
app.use('/v1/admin/*', authorize);

registerHealth(app);
registerViews(app, catalog.views);
registerEntityWrites(app, catalog.entities);
registerEvents(app);
registerFeatures(app);
registerRecommendations(app, catalog.models);
registerPredictions(app);
registerAdmin(app);
registerCacheAdmin(app);
registerQuarantine(app);
registerDeadLetters(app);
registerReplay(app);
registerLineage(app);
registerLineageAdmin(app);
registerMetrics(app);
registerQuality(app);

app.openAPIRegistry.registerComponent('securitySchemes', 'key', { type: 'http', scheme: 'bearer' });
app.doc31('/openapi.json', {
  openapi: '3.1.0',
  info: { title: 'Millrace', version: '1', description: 'A Postgres database and ONNX models at the edge.' },
});

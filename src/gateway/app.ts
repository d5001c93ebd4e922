import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Isolate } from '../composition/isolate.ts';
import { bySpecificity } from '../define/reserved-paths.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { type AppEnv, Gateway, requestIdOf } from './context.ts';
import { registerModelSchemas } from './model-schemas.ts';
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
import { registerModelPaths } from './routes/model-paths.ts';
import { registerPredictions } from './routes/predictions.ts';
import { registerQuality } from './routes/quality.ts';
import { registerViews } from './routes/views.ts';

/** Everything but reads; `authorize` knows the reads that need a body. */
const GUARDED_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * All routes of a catalog. The cached reads have an app, and so a router, of their own: where a single route overlaps
 * with another, hono gives up its fastest router for all routes of an app, and a warm hit would pay for a route that
 * it has nothing to do with.
 */
export function createApp(isolate: Isolate): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>();
  /** Everything else; one document describes both. */
  const uncached = new OpenAPIHono<AppEnv>();
  uncached.openAPIRegistry = app.openAPIRegistry;
  const gateway = new Gateway(isolate);

  app.onError(failed);
  uncached.onError(failed);
  app.notFound((c) => uncached.fetch(c.req.raw, c.env, c.executionCtx));
  uncached.notFound((c) =>
    problemResponse(new Failure('not_found', 'No route is here; see /openapi.json.'), requestIdOf(c)),
  );

  // Reads of views pass through no middleware. Every other route requires a key unless `authorize` lists it as open,
  // so a forgotten route stays protected.
  uncached.on(GUARDED_METHODS, '*', gateway.authorize);
  for (const part of [app, uncached]) part.use('/v1/admin/*', gateway.authorize);

  const { views, models, entities } = gateway.catalog;
  registerViews(app, gateway, views.toSorted(bySpecificity));
  const schemas = registerModelSchemas(app, models);
  registerModelPaths(app, gateway, schemas);
  registerPredictions(uncached, gateway, schemas);
  registerEntityWrites(uncached, gateway, entities);
  for (const register of UNCACHED) register(uncached, gateway);

  uncached.openAPIRegistry.registerComponent('securitySchemes', 'key', { type: 'http', scheme: 'bearer' });
  uncached.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version: '1',
      description: 'A Postgres database and ONNX models at the edge.',
    },
  });
  return app;
}

/** The routes that no declaration of the catalog has a say in. */
const UNCACHED = [
  registerHealth,
  registerEvents,
  registerChanges,
  registerFeatures,
  registerAdmin,
  registerCacheAdmin,
  registerQuarantine,
  registerDeadLetters,
  registerReplay,
  registerKafka,
  registerLineage,
  registerLineageAdmin,
  registerMetrics,
  registerQuality,
];

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

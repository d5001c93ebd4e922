import { OpenAPIHono } from '@hono/zod-openapi';
import { catalog } from '../catalog/index.ts';
import { Failure } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import { log } from '../platform/logger.ts';
import type { RequestPlace } from '../platform/regions.ts';
import { createServices } from '../services.ts';
import type { AppEnv } from './context.ts';
import { authorize } from './middleware/authorize.ts';
import { problemResponse } from './problem.ts';
import { registerAdmin } from './routes/admin.ts';
import { registerCacheAdmin } from './routes/admin-cache.ts';
import { registerEntityWrites } from './routes/entities.ts';
import { registerEvents } from './routes/events.ts';
import { registerFeatures } from './routes/features.ts';
import { registerHealth } from './routes/health.ts';
import { registerPredictions } from './routes/predictions.ts';
import { registerRecommendations } from './routes/recommendations.ts';
import { registerViews } from './routes/views.ts';

export const app = new OpenAPIHono<AppEnv>();

app.onError((error, c) => {
  const requestId = c.var.requestId ?? newId();
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
  problemResponse(new Failure('not_found', 'No route is here; see /openapi.json.'), c.var.requestId),
);

app.use(async (c, next) => {
  c.set('requestId', c.req.header('cf-ray') ?? newId());
  c.set(
    'services',
    createServices(
      c.env,
      (promise) => c.executionCtx.waitUntil(promise),
      () => placeOf(c.req.raw),
    ),
  );
  await next();
  c.res.headers.set('x-request-id', c.var.requestId);
});
app.use(authorize);

registerHealth(app);
registerViews(app, catalog.views);
registerEntityWrites(app, catalog.entities);
registerEvents(app);
registerFeatures(app);
registerRecommendations(app, catalog.models);
registerPredictions(app);
registerAdmin(app);
registerCacheAdmin(app);

app.openAPIRegistry.registerComponent('securitySchemes', 'key', { type: 'http', scheme: 'bearer' });
app.doc31('/openapi.json', {
  openapi: '3.1.0',
  info: { title: 'Millrace', version: '1', description: 'A Postgres database and ONNX models at the edge.' },
});

/** Where the request came in, as the platform tells; nothing where it does not. */
function placeOf({ cf }: Request): RequestPlace {
  const told = (name: string): string | undefined => {
    const value: unknown = cf === undefined ? undefined : Reflect.get(cf, name);
    return typeof value === 'string' ? value : undefined;
  };
  return { continent: told('continent'), country: told('country'), longitude: told('longitude') };
}

import type { Catalog } from '../define/catalog.ts';
import { createApp } from '../gateway/app.ts';
import { countingBatch } from './backlog.ts';
import { consume } from './consumers.ts';
import { runCron } from './cron.ts';
import type { Env } from './env.ts';
import { Isolate } from './isolate.ts';
import { RequestPorts } from './request.ts';
import { RequestScope } from './request-scope.ts';

/** The gateway's app over an isolate. */
export function appOf(isolate: Isolate) {
  return createApp({
    catalog: isolate.catalog,
    viewsOf: isolate.viewsOf,
    portsOf: (c) => new RequestPorts(isolate.of(c.env, c), new RequestScope(c.req.raw, c.executionCtx)),
    countRequest: (counted, request, env, ctx) => isolate.countingOf(env, request)?.requested(counted, ctx),
  });
}

/** The worker's handlers for a catalog. */
export function createWorker(catalog: Catalog) {
  const isolate = new Isolate(catalog);
  return {
    fetch: appOf(isolate).fetch,

    async queue(batch, env, ctx): Promise<void> {
      await consume(countingBatch(batch, env), isolate.of(env), new RequestScope(undefined, ctx));
    },

    async scheduled(_controller, env, ctx): Promise<void> {
      await runCron(isolate.of(env), new RequestScope(undefined, ctx));
    },
  } satisfies ExportedHandler<Env>;
}

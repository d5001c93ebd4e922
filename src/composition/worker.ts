import type { Catalog } from '../define/catalog.ts';
import { createApp } from '../gateway/app.ts';
import { systemNow } from '../platform/clock.ts';
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
    portsOf: (c) => {
      const scope = new RequestScope(c.req.raw, c.executionCtx);
      return new RequestPorts(isolate.of(c.env, c).in(scope.span), scope);
    },
    countRequest: (counted, request, env, ctx, exported) =>
      isolate.countingOf(env, request)?.requested(counted, ctx, exported),
    traceRequest: (request, env, ctx, startedMs) => isolate.traceOf(env, request, ctx, startedMs),
  });
}

/** The worker's handlers for a catalog. */
export function createWorker(catalog: Catalog) {
  const isolate = new Isolate(catalog);
  return {
    fetch: appOf(isolate).fetch,

    async queue(batch, env, ctx): Promise<void> {
      const bound = isolate.of(env);
      const nowMs = systemNow();
      const delaysMs = batch.messages.map(({ timestamp }) => nowMs - timestamp.getTime());
      await consume(countingBatch(batch, env), bound, new RequestScope(undefined, ctx));
      bound.observation.consumed(batch.queue, delaysMs, ctx);
    },

    async scheduled(_controller, env, ctx): Promise<void> {
      await runCron(isolate.of(env), new RequestScope(undefined, ctx));
    },
  } satisfies ExportedHandler<Env>;
}

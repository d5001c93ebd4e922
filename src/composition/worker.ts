import { consumeChanges } from '../../queues/changes/consumer.ts';
import { consumeDead } from '../../queues/dead/consumer.ts';
import { consumeEvents } from '../../queues/events/consumer.ts';
import { consumeSink } from '../../queues/sink/consumer.ts';
import type { Catalog } from '../define/catalog.ts';
import { createApp } from '../gateway/app.ts';
import { log } from '../platform/logger.ts';
import type { Env } from './env.ts';
import { Isolate } from './isolate.ts';
import type { RequestScope } from './reads.ts';
import { createServices } from './services.ts';

const CONSUMERS: Readonly<Record<string, typeof consumeEvents>> = {
  'millrace-events': consumeEvents,
  'millrace-changes': consumeChanges,
  'millrace-sink': consumeSink,
  'millrace-dead': consumeDead,
};

/** A queue and the cron have no place that a request came in at. */
function scopeOf(ctx: ExecutionContext): RequestScope {
  return { keepAlive: (promise) => ctx.waitUntil(promise), place: () => ({}) };
}

/** The worker's handlers for a catalog. */
export function createWorker(catalog: Catalog) {
  const isolate = new Isolate(catalog);
  const servicesOf = (env: Env, ctx: ExecutionContext) => createServices(isolate, env, scopeOf(ctx));
  return {
    fetch: createApp(isolate).fetch,

    async queue(batch, env, ctx): Promise<void> {
      const consume = CONSUMERS[batch.queue];
      if (consume === undefined) throw new Error(`Queue ${batch.queue} has no consumer.`);
      await consume(batch, servicesOf(env, ctx));
    },

    async scheduled(_controller, env, ctx): Promise<void> {
      const services = servicesOf(env, ctx);
      const behind = (action: string, work: Promise<unknown>) =>
        ctx.waitUntil(
          work.catch((error: unknown) => {
            log(
              'warn',
              'A part of the cron failed; the next minute repeats it.',
              { 'event.action': action },
              error,
            );
          }),
        );
      behind('lineage-sweep', services.sweepLineage());
      behind('retention', services.pruneOld());
      behind('kafka-source', services.startKafka());
      await services.relay().heartbeat();
      services.warm();
      services.settleScores();
    },
  } satisfies ExportedHandler<Env>;
}

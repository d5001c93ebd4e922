import { consumeChanges } from '../queues/changes/consumer.ts';
import { consumeDead } from '../queues/dead/consumer.ts';
import { consumeEvents } from '../queues/events/consumer.ts';
import { consumeSink } from '../queues/sink/consumer.ts';
import type { Env } from './env.ts';
import { app } from './gateway/app.ts';
import { log } from './platform/logger.ts';
import type { RequestScope } from './services/reading.ts';
import { createServices } from './services.ts';

export { CacheStats } from '../durable-objects/cache-stats/object.ts';
export { ChangeFeed } from '../durable-objects/change-feed/object.ts';
export { FeatureShard } from '../durable-objects/feature-shard/object.ts';
export { FillGate } from '../durable-objects/fill-gate/object.ts';
export { KafkaSource } from '../durable-objects/kafka-source/object.ts';
export { OutboxRelay } from '../durable-objects/outbox-relay/object.ts';
export { QualityWindow } from '../durable-objects/quality-window/object.ts';
export { QueuedEvents } from '../durable-objects/queued-events/object.ts';
export { TagClock } from '../durable-objects/tag-clock/object.ts';

const consumers: Readonly<Record<string, typeof consumeEvents>> = {
  'millrace-events': consumeEvents,
  'millrace-changes': consumeChanges,
  'millrace-sink': consumeSink,
  'millrace-dead': consumeDead,
};

/** What no request has asked for comes from nowhere. */
function scopeOf(ctx: ExecutionContext): RequestScope {
  return { keepAlive: (promise) => ctx.waitUntil(promise), place: () => ({}) };
}

export default {
  fetch: app.fetch,

  async queue(batch, env, ctx): Promise<void> {
    const consume = consumers[batch.queue];
    if (consume === undefined) throw new Error(`Queue ${batch.queue} has no consumer.`);
    await consume(batch, createServices(env, scopeOf(ctx)));
  },

  async scheduled(_controller, env, ctx): Promise<void> {
    const services = createServices(env, scopeOf(ctx));
    const swept = services.sweepLineage().catch((error: unknown) => {
      log('warn', 'The runs of lineage could not be swept.', { 'event.action': 'lineage-sweep' }, error);
    });
    ctx.waitUntil(swept);
    const pruned = services.pruneOld().catch((error: unknown) => {
      log('warn', 'What is old could not be pruned.', { 'event.action': 'retention' }, error);
    });
    ctx.waitUntil(pruned);
    const started = services.startKafka().catch((error: unknown) => {
      log('warn', 'The Kafka sources could not be started.', { 'event.action': 'kafka-source' }, error);
    });
    ctx.waitUntil(started);
    await services.relay().heartbeat();
    services.warm();
    services.settleScores();
  },
} satisfies ExportedHandler<Env>;

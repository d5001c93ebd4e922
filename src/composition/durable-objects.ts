// Schemas that are made before it is loaded cannot be described in the OpenAPI document.
import '@hono/zod-openapi';
import { Alerts } from '../../durable-objects/alerts/object.ts';
import { CacheStats } from '../../durable-objects/cache-stats/object.ts';
import { ChangeFeed } from '../../durable-objects/change-feed/object.ts';
import { Datasets } from '../../durable-objects/datasets/object.ts';
import { DriftWatches } from '../../durable-objects/drift-watches/object.ts';
import { FeatureShard } from '../../durable-objects/feature-shard/object.ts';
import { Feedback } from '../../durable-objects/feedback/object.ts';
import { FillGate } from '../../durable-objects/fill-gate/object.ts';
import { Idempotency } from '../../durable-objects/idempotency/object.ts';
import { KafkaSource } from '../../durable-objects/kafka-source/object.ts';
import { OutboxRelay } from '../../durable-objects/outbox-relay/object.ts';
import { QualityWindow } from '../../durable-objects/quality-window/object.ts';
import { QueuedEvents } from '../../durable-objects/queued-events/object.ts';
import { RateLimiter } from '../../durable-objects/rate-limiter/object.ts';
import { Rollouts } from '../../durable-objects/rollouts/object.ts';
import { type ClockPorts, TagClock } from '../../durable-objects/tag-clock/object.ts';
import { TrainingRuns } from '../../durable-objects/training-runs/object.ts';
import type { Catalog } from '../define/catalog.ts';
import { systemNow } from '../platform/clock.ts';
import { takeCallsInTrace } from '../platform/tracing/object-calls.ts';
import { alertsPorts } from './alerts.ts';
import { countingQueues } from './backlog.ts';
import { outboxWatchMs } from './config.ts';
import { datasetsPorts } from './datasets.ts';
import { driftWatchesPorts } from './drift.ts';
import type { Env } from './env.ts';
import { feedbackPorts } from './feedback.ts';
import { kafkaSourceOf } from './kafka-source.ts';
import { longestJudgedS } from './lifetimes.ts';
import { reportWithoutRequests } from './object-reports.ts';
import { DATABASE_BYTES, outboxRelay, regionalClock, rootClock } from './objects.ts';
import { outboxRelayPorts } from './outbox-relay.ts';
import { rolloutsPorts } from './rollouts.ts';
import { tracingOf } from './tracing.ts';
import { trainingRunsPorts } from './training.ts';

/**
 * The classes that the platform instantiates, each with the ports that it needs beyond its own storage. The platform
 * passes a constructor only the state and the bindings.
 */
export function durableObjects(catalog: Catalog) {
  const classes = {
    CacheStats,
    ChangeFeed,
    FillGate,
    Idempotency,
    QualityWindow,
    QueuedEvents,
    RateLimiter,
    Alerts: class extends Alerts {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, alertsPorts(env, catalog));
        reportWithoutRequests(env);
      }
    },
    TagClock: class extends TagClock {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, clockPorts(env, catalog));
        reportWithoutRequests(env);
      }
    },
    FeatureShard: class extends FeatureShard {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, { features: catalog.features, now: systemNow });
        reportWithoutRequests(env);
      }
    },
    OutboxRelay: class extends OutboxRelay {
      constructor(ctx: DurableObjectState, env: Env) {
        const keepAlive = (work: Promise<unknown>) => ctx.waitUntil(work);
        super(ctx, env, outboxRelayPorts(countingQueues(env), catalog, keepAlive));
        reportWithoutRequests(env);
      }
    },
    Datasets: class extends Datasets {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, datasetsPorts(env, catalog));
        reportWithoutRequests(env);
      }
    },
    TrainingRuns: class extends TrainingRuns {
      constructor(ctx: DurableObjectState, env: Env) {
        super(
          ctx,
          env,
          trainingRunsPorts(env, catalog, (work) => ctx.waitUntil(work)),
        );
        reportWithoutRequests(env);
      }
    },
    Rollouts: class extends Rollouts {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, rolloutsPorts(env, catalog));
        reportWithoutRequests(env);
      }
    },
    Feedback: class extends Feedback {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, feedbackPorts(env, catalog));
        reportWithoutRequests(env);
      }
    },
    DriftWatches: class extends DriftWatches {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, driftWatchesPorts(env, catalog));
        reportWithoutRequests(env);
      }
    },
    KafkaSource: class extends KafkaSource {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, kafkaSourceOf(countingQueues(env), catalog));
        reportWithoutRequests(env);
      }
    },
  };
  for (const [name, objectClass] of Object.entries(classes)) {
    takeCallsInTrace(objectClass, kebabCase(name), (env) => tracingOf(env));
    tellDatabaseBytes(objectClass);
  }
  return classes;
}

/** Lets the objects of a class tell how much they have on disk, in bytes. */
function tellDatabaseBytes({ prototype }: { readonly prototype: object }): void {
  const value = function (this: object): number {
    const state: DurableObjectState = Reflect.get(this, 'ctx');
    return state.storage.sql.databaseSize;
  };
  Object.defineProperty(prototype, DATABASE_BYTES, { value, writable: true, configurable: true });
}

/** The name of a class as its peer has it. */
function kebabCase(name: string): string {
  return name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
}

function clockPorts(env: Env, catalog: Catalog): ClockPorts {
  return {
    root: { sync: (request) => rootClock(env).sync(request) },
    push: (region, delta) => regionalClock(env, region).receive(delta),
    heartbeat: () => outboxRelay(env).heartbeat(),
    outboxWatchMs: outboxWatchMs(env),
    horizonMs: longestJudgedS(catalog) * 1_000,
  };
}

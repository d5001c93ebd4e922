import type { Alerts } from '../../durable-objects/alerts/object.ts';
import type { CacheStats } from '../../durable-objects/cache-stats/object.ts';
import type { ChangeFeed } from '../../durable-objects/change-feed/object.ts';
import type { Datasets } from '../../durable-objects/datasets/object.ts';
import type { DriftWatches } from '../../durable-objects/drift-watches/object.ts';
import type { FeatureShard } from '../../durable-objects/feature-shard/object.ts';
import type { Feedback } from '../../durable-objects/feedback/object.ts';
import type { FillGate } from '../../durable-objects/fill-gate/object.ts';
import type { Idempotency } from '../../durable-objects/idempotency/object.ts';
import type { KafkaSource } from '../../durable-objects/kafka-source/object.ts';
import type { OutboxRelay } from '../../durable-objects/outbox-relay/object.ts';
import type { QualityWindow } from '../../durable-objects/quality-window/object.ts';
import type { QueuedEvents } from '../../durable-objects/queued-events/object.ts';
import type { RateLimiter } from '../../durable-objects/rate-limiter/object.ts';
import type { Rollouts } from '../../durable-objects/rollouts/object.ts';
import type { TagClock } from '../../durable-objects/tag-clock/object.ts';
import type { TrainingRuns } from '../../durable-objects/training-runs/object.ts';
import type { ChangesMessage } from '../../queues/changes/message.ts';
import type { EventsMessage } from '../../queues/events/message.ts';
import type { SinkMessage } from '../../queues/sink/message.ts';
import type { Span } from '../platform/tracing/span.ts';

/** The bindings of wrangler.toml, and the secrets. */
export interface Env {
  /** Postgres connection string of Neon (secret). */
  readonly DATABASE_URL: string;
  /** SQL-over-HTTP endpoint if it is not Neon's own: local development sets it. */
  readonly DATABASE_ENDPOINT?: string;
  /** The location hint nearest to the database, where the host name of DATABASE_URL does not say it; see `placement.ts`. */
  readonly DATABASE_REGION?: string;
  /** SHA-256 of the key, 64 hexadecimal digits (secret). */
  readonly API_KEY_SHA256: string;
  /**
   * The id of one start of the local stack, by `npm run dev`. `/health/live` shows it, so that a command recognises the
   * worker that answers at an address. Not to be set on Cloudflare: with it, an isolate counts its queues as if it were the only one.
   */
  readonly INSTANCE_ID?: string;
  /** The share of hits that the probe compares with the origin, 0 to 1. */
  readonly PROBE_SHARE?: string | number;
  /** The share of the runtime's runs that the evaluator computes, too, 0 to 1. */
  readonly PARITY_SHARE?: string | number;
  /** The time of a prediction that does not name its own, in milliseconds. */
  readonly DEADLINE_MS?: string | number;
  /** `true` makes `GET /metrics` readable without the key. */
  readonly METRICS_PUBLIC?: string | boolean;
  /** `off` switches warming off. */
  readonly WARMING?: string;
  /** `off` switches rate limits off. */
  readonly LIMITS?: string;
  /** The pause between two sweeps of the outbox while there are readers, in milliseconds; see `config.ts`. */
  readonly OUTBOX_WATCH_MS?: string | number;
  /** How long an isolate gathers served predictions before it writes them, in milliseconds; see `config.ts`. */
  readonly FEEDBACK_PAUSE_MS?: string | number;
  /** How long files and events may take until they can be read, in milliseconds; see `config.ts`. */
  readonly FEEDBACK_SETTLE_MS?: string | number;
  /** The length of a minute of the alert rules, in milliseconds; only a test makes it shorter. See `config.ts`. */
  readonly ALERTS_MINUTE_MS?: string | number;
  /** Where notices of alerts and incidents go: JSON (secret); see `src/operations/alerts/targets.ts`. */
  readonly ALERT_WEBHOOKS?: string;
  /** The deployed version, as the platform tells. */
  readonly RELEASE?: { readonly id: string };
  /** An OpenID Connect issuer whose tokens are accepted; see `oidc.ts`. */
  readonly OIDC_ISSUER?: string;
  readonly OIDC_AUDIENCE?: string;
  readonly OIDC_JWKS_URL?: string;
  readonly OIDC_ALGORITHMS?: string;
  readonly OIDC_CLOCK_SKEW_S?: string | number;
  readonly OIDC_SCOPE_CLAIM?: string;
  readonly OIDC_ROW_CLAIMS?: string;
  /** The receiver of traces, what it is sent, and which traces are kept (docs/tracing.md). */
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string;
  readonly OTEL_EXPORTER_OTLP_HEADERS?: string;
  readonly OTEL_EXPORTER_OTLP_PROTOCOL?: string;
  readonly OTEL_EXPORTER_OTLP_TIMEOUT?: string | number;
  readonly OTEL_METRICS_EXPORTER?: string;
  readonly OTEL_TRACES_SAMPLER?: string;
  readonly OTEL_TRACES_SAMPLER_ARG?: string | number;
  readonly OTEL_SERVICE_NAME?: string;
  readonly OTEL_RESOURCE_ATTRIBUTES?: string;
  /** A request that takes this long is kept whatever the sampler says, in milliseconds. */
  readonly TRACE_SLOW_MS?: string | number;
  /** `on` records Millrace's spans in the platform's own tracing as well. */
  readonly PLATFORM_SPANS?: string;
  /** `kept` logs a line for each request whose trace is kept. */
  readonly LOG_REQUESTS?: string;
  /** No binding: the span that calls through these bindings are within; see `envIn`. */
  readonly span?: Span;
  /** The URL of the Kafka REST bridge, and its credentials (secrets). */
  readonly KAFKA_REST_URL?: string;
  readonly KAFKA_REST_USERNAME?: string;
  readonly KAFKA_REST_PASSWORD?: string;
  /** Topics that events are read from, separated by commas, and the group that reads them. */
  readonly KAFKA_SOURCE_TOPICS?: string;
  readonly KAFKA_GROUP?: string;
  /** The topic that changes are written to. */
  readonly KAFKA_SINK_TOPIC?: string;
  readonly CACHE: KVNamespace;
  readonly MODELS: R2Bucket;
  readonly EVENTS: Queue<EventsMessage>;
  /** The bulk lane: the same messages, for the same consumer. */
  readonly EVENTS_BULK: Queue<EventsMessage>;
  readonly CHANGES: Queue<ChangesMessage>;
  readonly CHANGES_BULK: Queue<ChangesMessage>;
  readonly SINK: Queue<SinkMessage>;
  /**
   * The dead-letter queue: the platform moves messages here that exceeded their retries. A letter that cannot be stored
   * yet is enqueued here again.
   */
  readonly DEAD: Queue<unknown>;
  readonly TAG_CLOCK: DurableObjectNamespace<TagClock>;
  readonly FEATURE_SHARD: DurableObjectNamespace<FeatureShard>;
  readonly OUTBOX_RELAY: DurableObjectNamespace<OutboxRelay>;
  readonly FILL_GATE: DurableObjectNamespace<FillGate>;
  readonly CACHE_STATS: DurableObjectNamespace<CacheStats>;
  readonly QUEUED_EVENTS: DurableObjectNamespace<QueuedEvents>;
  readonly KAFKA_SOURCE: DurableObjectNamespace<KafkaSource>;
  readonly CHANGE_FEED: DurableObjectNamespace<ChangeFeed>;
  readonly QUALITY_WINDOW: DurableObjectNamespace<QualityWindow>;
  readonly RATE_LIMITER: DurableObjectNamespace<RateLimiter>;
  readonly IDEMPOTENCY: DurableObjectNamespace<Idempotency>;
  readonly DATASETS: DurableObjectNamespace<Datasets>;
  readonly TRAINING_RUNS: DurableObjectNamespace<TrainingRuns>;
  readonly ROLLOUTS: DurableObjectNamespace<Rollouts>;
  readonly FEEDBACK: DurableObjectNamespace<Feedback>;
  readonly DRIFT_WATCHES: DurableObjectNamespace<DriftWatches>;
  readonly ALERTS: DurableObjectNamespace<Alerts>;
}

/** The bindings that every deployment has. */
export const BINDINGS = [
  'CACHE',
  'MODELS',
  'EVENTS',
  'EVENTS_BULK',
  'CHANGES',
  'CHANGES_BULK',
  'SINK',
  'DEAD',
  'TAG_CLOCK',
  'FEATURE_SHARD',
  'OUTBOX_RELAY',
  'FILL_GATE',
  'CACHE_STATS',
  'QUEUED_EVENTS',
  'KAFKA_SOURCE',
  'CHANGE_FEED',
  'QUALITY_WINDOW',
  'RATE_LIMITER',
  'IDEMPOTENCY',
  'DATASETS',
  'TRAINING_RUNS',
  'ROLLOUTS',
  'FEEDBACK',
  'DRIFT_WATCHES',
  'ALERTS',
] as const satisfies readonly (keyof Env)[];

/**
 * Checks that the platform provides every binding of `wrangler.toml`. `readConfig` checks variables and secrets.
 *
 * @throws Error with the names of the missing bindings.
 */
export function assertBindings(bindings: object): asserts bindings is Env {
  const missing = BINDINGS.filter((name) => !(name in bindings));
  if (missing.length > 0)
    throw new Error(
      `wrangler.toml does not bind ${missing.join(', ')}. Compare it with the one of Millrace.`,
    );
}

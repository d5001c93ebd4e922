import type { OutboxRelayPorts } from '../../durable-objects/outbox-relay/object.ts';
import { OUTBOX } from '../cache/clock/sources.ts';
import type { Catalog } from '../define/catalog.ts';
import { publishChanges } from '../pipeline/publish.ts';
import type { RelayPorts } from '../pipeline/relay.ts';
import { withTimeout } from '../platform/clock.ts';
import { NO_SPAN, type Span, within } from '../platform/tracing/span.ts';
import type { KeepAlive } from '../platform/tracing/tracing.ts';
import { LANES } from '../storage/lane.ts';
import { connect, isRefused } from '../storage/postgres/connect.ts';
import { markRelayed, readPending } from '../storage/postgres/outbox.ts';
import { sendingSpan } from '../storage/queue-spans.ts';
import { type BackfillEnv, backfillStepOf } from './backfilling.ts';
import { invalidateTags } from './clock.ts';
import { databaseTarget, envIn } from './config.ts';
import type { Env } from './env.ts';
import { rootClock } from './objects.ts';
import { changesQueue, changesQueueName } from './queueing.ts';
import { type TracingEnv, tracingOf } from './tracing.ts';

export type RelayEnv = BackfillEnv & Pick<Env, 'CHANGES' | 'CHANGES_BULK'> & TracingEnv;

/** The ports of the relay: the database, the root clock and the `changes` queue. */
export function outboxRelayPorts(
  env: RelayEnv,
  catalog: Pick<Catalog, 'entities' | 'eventTypes' | 'features'>,
  keepAlive: KeepAlive,
): OutboxRelayPorts {
  const entities = new Set(catalog.entities.map(({ name }) => name));
  let ports: RelayPorts | undefined;
  return {
    // Created with the first sweep and not with the object: with a wrong configuration, the object's constructor would
    // throw.
    relay: () => {
      ports ??= tracedRelayPorts(env, entities, keepAlive);
      return ports;
    },
    isRefused,
    backfill: backfillStepOf(env, catalog),
    openPass: async () => {
      const pass = await rootClock(env).openPass(OUTBOX);
      return async () => await rootClock(env).closePass(pass);
    },
    withTimeout,
  };
}

/** The changes of a pass go on in their traces: in the invalidation, in the messages, and in what consumes these. */
function tracedRelayPorts(env: RelayEnv, entities: ReadonlySet<string>, keepAlive: KeepAlive): RelayPorts {
  const tracing = tracingOf(env);
  const ports = relayPorts(env, entities, NO_SPAN);
  if (tracing === undefined) return ports;
  const inTrace: RelayPorts['inTrace'] = async (changes, relay) => {
    const of = { name: 'relay outbox', attributes: { 'millrace.changes': changes.length } };
    const traces = changes.map(({ trace }) => trace);
    await tracing.batch(of, traces, keepAlive, ({ work, next }) =>
      relay(
        relayPorts(envIn(env, work), entities, work),
        changes.map(({ trace, ...change }) => {
          const carriedOn = next(trace);
          return carriedOn === undefined ? change : { ...change, trace: carriedOn };
        }),
      ),
    );
  };
  return { ...ports, inTrace };
}

function relayPorts(env: RelayEnv, entities: ReadonlySet<string>, span: Span): RelayPorts {
  const db = connect(databaseTarget(env), span);
  return {
    readPending: (wish) => readPending(db, wish),
    invalidate: (tags) => invalidateTags(env, tags),
    publish: async (changes, at) => {
      const lanes = Map.groupBy(changes, ({ lane }) => lane);
      for (const lane of LANES) {
        const own = lanes.get(lane) ?? [];
        if (own.length === 0) continue;
        const of = sendingSpan(changesQueueName(lane), own.length);
        await within(span, of, () => publishChanges(changesQueue(env, lane), own, at, entities));
      }
    },
    markRelayed: (outboxIds, at) => markRelayed(db, outboxIds, at),
  };
}

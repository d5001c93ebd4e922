import type { OutboxRelayPorts } from '../../durable-objects/outbox-relay/object.ts';
import { OUTBOX } from '../cache/clock/sources.ts';
import type { Catalog } from '../define/catalog.ts';
import { publishChanges } from '../pipeline/publish.ts';
import type { RelayPorts } from '../pipeline/relay.ts';
import { LANES } from '../storage/lane.ts';
import { connect, isRefused } from '../storage/postgres/connect.ts';
import { markRelayed, readPending } from '../storage/postgres/outbox.ts';
import { type BackfillEnv, backfillStepOf } from './backfilling.ts';
import { invalidateTags } from './clock.ts';
import { databaseTarget } from './config.ts';
import type { Env } from './env.ts';
import { rootClock } from './objects.ts';
import { changesQueue } from './queueing.ts';

export type RelayEnv = BackfillEnv & Pick<Env, 'CHANGES' | 'CHANGES_BULK'>;

/** The ports of the relay: the database, the root clock and the `changes` queue. */
export function outboxRelayPorts(
  env: RelayEnv,
  catalog: Pick<Catalog, 'entities' | 'eventTypes' | 'features'>,
): OutboxRelayPorts {
  const entities = new Set(catalog.entities.map(({ name }) => name));
  let ports: RelayPorts | undefined;
  return {
    // Created with the first sweep and not with the object: with a wrong configuration, the object's constructor would
    // throw.
    relay: () => {
      ports ??= relayPorts(env, entities);
      return ports;
    },
    isRefused,
    backfill: backfillStepOf(env, catalog),
    openPass: async () => {
      const pass = await rootClock(env).openPass(OUTBOX);
      return async () => await rootClock(env).closePass(pass);
    },
  };
}

function relayPorts(env: RelayEnv, entities: ReadonlySet<string>): RelayPorts {
  const db = connect(databaseTarget(env));
  return {
    readPending: (wish) => readPending(db, wish),
    invalidate: (tags) => invalidateTags(env, tags),
    publish: async (changes, at) => {
      const lanes = Map.groupBy(changes, ({ lane }) => lane);
      for (const lane of LANES)
        await publishChanges(changesQueue(env, lane), lanes.get(lane) ?? [], at, entities);
    },
    markRelayed: (outboxIds, at) => markRelayed(db, outboxIds, at),
  };
}

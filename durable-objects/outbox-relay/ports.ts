import { slotsOf } from '../../src/cache/clock/slots.ts';
import { catalog } from '../../src/catalog/index.ts';
import { databaseTarget } from '../../src/config.ts';
import type { Env } from '../../src/env.ts';
import { publishChanges } from '../../src/pipeline/publish.ts';
import type { RelayPorts } from '../../src/pipeline/relay.ts';
import { rootClock } from '../../src/storage/objects.ts';
import { connect } from '../../src/storage/postgres/connect.ts';
import { markRelayed, readPending } from '../../src/storage/postgres/outbox.ts';

export type RelayEnv = Pick<Env, 'DATABASE_URL' | 'DATABASE_ENDPOINT' | 'TAG_CLOCK' | 'CHANGES'>;

const ENTITIES = new Set(catalog.entities.map(({ name }) => name));

/** The relay's effects, on the real database, clock and queue. */
export function relayPorts(env: RelayEnv): RelayPorts {
  const db = connect(databaseTarget(env));
  return {
    readPending: (limit) => readPending(db, limit),
    invalidate: async (tags) => await rootClock(env).invalidate(slotsOf(tags)),
    publish: (changes, at) => publishChanges(env.CHANGES, changes, at, ENTITIES),
    markRelayed: (outboxIds, at) => markRelayed(db, outboxIds, at),
  };
}

import type { ChangesMessage } from '../../queues/changes/message.ts';
import { slotsOf } from '../../src/cache/clock/slots.ts';
import { databaseTarget } from '../../src/config.ts';
import type { Env } from '../../src/env.ts';
import type { RelayPorts } from '../../src/pipeline/relay.ts';
import { rootClock } from '../../src/storage/objects.ts';
import { connect } from '../../src/storage/postgres/connect.ts';
import { markRelayed, readPending } from '../../src/storage/postgres/outbox.ts';
import { sendChunked } from '../../src/storage/queue.ts';

export type RelayEnv = Pick<Env, 'DATABASE_URL' | 'DATABASE_ENDPOINT' | 'TAG_CLOCK' | 'CHANGES'>;

/** The relay's effects, on the real database, clock and queue. */
export function relayPorts(env: RelayEnv): RelayPorts {
  const db = connect(databaseTarget(env));
  return {
    readPending: (limit) => readPending(db, limit),
    invalidate: async (tags) => await rootClock(env).invalidate(slotsOf(tags)),
    publish: (changes) =>
      sendChunked(
        env.CHANGES,
        changes.flatMap(({ event }) => (event === null ? [] : [event])),
        (events): ChangesMessage => ({ v: 1, events: [...events] }),
      ),
    markRelayed: (outboxIds, at) => markRelayed(db, outboxIds, at),
  };
}

import type { DeadLetterPorts } from '../gateway/routes/admin-dead-letters.ts';
import { replayDeadLetters } from '../pipeline/dead-letters.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { closeReleased, readQuarantined, statesOfQuarantined } from '../storage/postgres/quarantine.ts';
import type { BoundIsolate } from './isolate.ts';
import { enqueueMessage } from './queueing.ts';

/** The ports of the route that sends dead letters to their queues again. */
export function deadLetterPorts({ env, db }: BoundIsolate): DeadLetterPorts {
  return {
    states: (ids) => guarded(() => statesOfQuarantined(db, ids)),
    replay: (ids) =>
      replayDeadLetters(ids, {
        read: (wanted) => guarded(() => readQuarantined(db, wanted)),
        sendEvents: (message) => enqueueMessage(env.EVENTS, message),
        sendChanges: (message) => enqueueMessage(env.CHANGES, message),
        sendSink: (message) => enqueueMessage(env.SINK, message),
        resolve: (sent, keptUntil) => guarded(() => closeReleased(db, sent, keptUntil)),
      }),
  };
}

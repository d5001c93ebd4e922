import type { EventsMessage } from '../../queues/events/message.ts';
import type { Catalog } from '../define/catalog.ts';
import { storeObserved, type Tell } from '../pipeline/lineage/observed.ts';
import { type ScorePorts, scoredStore, settlePending } from '../pipeline/quality/scorer.ts';
import type { StoreOutcome } from '../pipeline/store.ts';
import { systemNow } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { newId } from '../platform/ids.ts';
import { log } from '../platform/logger.ts';
import { classifyFault, type connect, isTimeout } from '../storage/postgres/connect.ts';
import { storeEvents } from '../storage/postgres/event-store.ts';
import { judgeStored } from '../storage/postgres/quality-checks.ts';
import {
  readBatch,
  readPending,
  settlePending as settleBatches,
} from '../storage/postgres/quality-pending.ts';
import { keepRefused } from '../storage/postgres/quarantine.ts';
import type { Env } from './env.ts';
import { qualityWindow } from './objects.ts';

/** How often an isolate that stores looks for what was never scored, beside the cron, in milliseconds. */
const SETTLE_EVERY_MS = 60_000;

/** When this isolate last looked for what was never scored. */
let settledScoresAt = Number.NEGATIVE_INFINITY;

/** What storing needs of a request. */
export interface Storing {
  readonly catalog: Pick<Catalog, 'eventTypes'>;
  readonly env: Env;
  readonly db: ReturnType<typeof connect>;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * Stores what some messages hold; scores it behind the answer, and tells lineage of it.
 *
 * @param isPatient whether there is time for smaller transactions where one takes too long.
 */
export async function storeAndTell(
  { env, db, catalog, keepAlive }: Storing,
  messages: readonly EventsMessage[],
  tell: Tell,
  isPatient: boolean,
): Promise<StoreOutcome> {
  if (systemNow() - settledScoresAt >= SETTLE_EVERY_MS) settleScores({ env, db, catalog, keepAlive });
  const scored = scoredStore({
    ...scorePorts(env, db, catalog),
    storeEvents: (events, batch) => storeEvents(db, events, batch),
    keepRefused: (refused, batch) => keepRefused(db, refused, batch),
    newId,
    now: systemNow,
    keepAlive,
  });
  const ports = { types: catalog.eventTypes, ...scored, classifyFault, fingerprint: sha256Hex };
  return await storeObserved(messages, isPatient ? { ...ports, isTimeout } : ports, tell);
}

/** Scores, behind whatever is under way, what was stored and never scored. */
export function settleScores({ env, db, catalog, keepAlive }: Storing): void {
  settledScoresAt = systemNow();
  const settled = settlePending({
    ...scorePorts(env, db, catalog),
    now: systemNow,
    readPending: (limits) => readPending(db, limits),
    uncounted: (ids) => qualityWindow(env).uncounted([...ids]),
    readBatch: (batch) => readBatch(db, batch),
    settle: (ids) => settleBatches(db, ids),
  });
  keepAlive(
    settled.catch((error) =>
      log('warn', 'Scores could not be settled yet.', { 'event.action': 'quality-settle' }, error),
    ),
  );
}

function scorePorts(env: Env, db: Storing['db'], catalog: Storing['catalog']): ScorePorts {
  return {
    types: catalog.eventTypes,
    judgeStored: (rules, batch) => judgeStored(db, rules, batch),
    send: (batch) => qualityWindow(env).add(batch),
  };
}

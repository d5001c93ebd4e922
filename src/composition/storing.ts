import type { EventsMessage } from '../../queues/events/message.ts';
import { type ReportLineage, storeObserved } from '../pipeline/lineage/observed.ts';
import { type ScorePorts, scoredStore, scorePending } from '../pipeline/quality/scorer.ts';
import type { StoreOutcome } from '../pipeline/store.ts';
import { systemNow } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { calling } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import { log } from '../platform/logger.ts';
import type { Lane } from '../storage/lane.ts';
import { classifyFault, isTimeout } from '../storage/postgres/connect.ts';
import { storeEvents } from '../storage/postgres/event-store.ts';
import { judgeStored } from '../storage/postgres/quality-checks.ts';
import { readBatch, readPending, settlePending } from '../storage/postgres/quality-pending.ts';
import { keepRefused } from '../storage/postgres/quarantine.ts';
import type { Env } from './env.ts';
import type { BoundIsolate } from './isolate.ts';
import { type DatabasePlace, outboxRelay, qualityWindow } from './objects.ts';

/** How often an isolate that stores events scores pending transactions, in addition to the cron, in milliseconds. */
const SCORE_PENDING_EVERY_MS = 60_000;

/** When this isolate last scored pending transactions, milliseconds since the Unix epoch. */
let scoredPendingAt = Number.NEGATIVE_INFINITY;

/** The parts of a request or a batch that storing needs. */
export interface StoringScope {
  readonly keepAlive: (work: Promise<unknown>) => void;
  readonly noteLineage: ReportLineage;
  /** Whether there is time to retry in smaller transactions if one takes too long. */
  readonly isPatient: boolean;
  readonly lane: Lane;
}

/** Stores the events of some messages, and scores them in the background. It does not relay the outbox. */
export async function storeMessagesIn(
  bound: BoundIsolate,
  messages: readonly EventsMessage[],
  { keepAlive, noteLineage, isPatient, lane }: StoringScope,
): Promise<StoreOutcome> {
  const { db, isolate } = bound;
  if (systemNow() - scoredPendingAt >= SCORE_PENDING_EVERY_MS) scorePendingIn(bound, keepAlive);
  const scored = scoredStore({
    ...scorePorts(bound),
    storeEvents: (events, batch) => storeEvents(db, events, batch, lane),
    keepRefused: (refused, batch) => keepRefused(db, refused, batch),
    newId,
    now: systemNow,
    keepAlive,
  });
  const ports = { types: isolate.catalog.eventTypes, ...scored, classifyFault, fingerprint: sha256Hex };
  return await storeObserved(messages, isPatient ? { ...ports, isTimeout } : ports, noteLineage);
}

/** Scores stored transactions that were never scored, in the background of the caller's work. */
export function scorePendingIn(bound: BoundIsolate, keepAlive: (work: Promise<unknown>) => void): void {
  scoredPendingAt = systemNow();
  const { db, env } = bound;
  const scored = scorePending({
    ...scorePorts(bound),
    now: systemNow,
    readPending: (limits) => readPending(db, limits),
    uncounted: (ids) => qualityWindow(env).uncounted([...ids]),
    readBatch: (batch) => readBatch(db, batch),
    settle: (ids) => settlePending(db, ids),
  });
  keepAlive(
    scored.catch((error) =>
      log(
        'warn',
        'The quality of stored transactions could not be scored; the next pass retries.',
        { 'event.action': 'quality-settle' },
        error,
      ),
    ),
  );
}

/** Ensures that the relay sweeps soon. Call it before a commit, so that a crash after the commit loses no change. */
export async function armRelay(env: Pick<Env, 'OUTBOX_RELAY'> & DatabasePlace): Promise<void> {
  const detail = 'The relay does not answer. Nothing was written; try again.';
  await calling(() => outboxRelay(env).arm(), 'relay_unavailable', detail, 1);
}

/** Relays every change of a lane that was committed before the call; those of the bulk lane after all live ones. */
export async function sweepLane(env: Pick<Env, 'OUTBOX_RELAY'> & DatabasePlace, lane: Lane): Promise<void> {
  if (lane === 'live') await outboxRelay(env).sweepLive();
  else await outboxRelay(env).sweep();
}

function scorePorts({ db, env, isolate }: BoundIsolate): ScorePorts {
  return {
    types: isolate.catalog.eventTypes,
    judgeStored: (rules, batch) => judgeStored(db, rules, batch),
    send: (batch) => qualityWindow(env).add(batch),
  };
}

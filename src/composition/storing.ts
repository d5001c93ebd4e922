import type { EventsMessage } from '../../queues/events/message.ts';
import { formatToken } from '../cache/clock/clock.ts';
import type { ClockMoment } from '../define/view.ts';
import { JoinedFolds } from '../features/joined-folds.ts';
import { laterMoment, type Moment } from '../features/seen-folds.ts';
import { identityOf } from '../pipeline/identity.ts';
import type { AcceptedEvent } from '../pipeline/judge.ts';
import { type ReportLineage, storeObserved } from '../pipeline/lineage/observed.ts';
import { type ScorePorts, scoredStore, scorePending } from '../pipeline/quality/scorer.ts';
import { type SharedStoring, type StoredEvents, storeShared } from '../pipeline/shared-storing.ts';
import type { StoreOutcome } from '../pipeline/store.ts';
import { messagesInTrace, traceOfEvent } from '../pipeline/traced-events.ts';
import { systemNow } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { calling } from '../platform/failure.ts';
import { GroupCommit } from '../platform/group-commit.ts';
import { newId } from '../platform/ids.ts';
import { log } from '../platform/logger.ts';
import { sized } from '../platform/pack.ts';
import type { SpanOf } from '../platform/tracing/span.ts';
import type { Lane } from '../storage/lane.ts';
import { classifyFault, guarded, isTimeout } from '../storage/postgres/connect.ts';
import { storeEvents } from '../storage/postgres/event-store.ts';
import { readStored } from '../storage/postgres/history.ts';
import { judgeStored } from '../storage/postgres/quality-checks.ts';
import { readBatch, readPending, settlePending } from '../storage/postgres/quality-pending.ts';
import { keepRefused } from '../storage/postgres/quarantine.ts';
import type { Env } from './env.ts';
import { joinedFoldPorts } from './folding.ts';
import type { BoundIsolate } from './isolate.ts';
import { type DatabasePlace, outboxRelay, qualityWindow } from './objects.ts';
import type { RequestScope } from './request-scope.ts';

/** How often an isolate that stores events scores pending transactions, in addition to the cron, in milliseconds. */
const SCORE_PENDING_EVERY_MS = 60_000;

/** When this isolate last scored pending transactions, milliseconds since the Unix epoch. */
let scoredPendingAt = Number.NEGATIVE_INFINITY;

/** The requests that wait for their events and store together: the statements of a group have a few times its bytes. */
const SHARED_LIMITS = {
  items: 200,
  bytes: 256 * 1024,
  /** As long as a transaction takes that nothing delays. */
  gatherMs: 25,
  gatherMsMax: 250,
  /** The runtime ends what a cancelled request left behind after 30 s. */
  waitMs: 30_000,
};

/** The groups of this isolate, by lane. They hold data of requests only while these wait. */
const shared: Readonly<Record<Lane, SharedStoring>> = {
  live: new GroupCommit(SHARED_LIMITS),
  bulk: new GroupCommit(SHARED_LIMITS),
};

/** The parts of a request or a batch that storing needs. */
export interface StoringScope {
  readonly keepAlive: (work: Promise<unknown>) => void;
  readonly noteLineage: ReportLineage;
  /** Whether there is time to retry in smaller transactions if one takes too long. */
  readonly isPatient: boolean;
  readonly lane: Lane;
}

/**
 * Stores the events of some messages, and scores them in the background. It does not relay the outbox.
 *
 * @param of the span of the work, in the traces of the events.
 */
export async function storeMessagesIn(
  bound: BoundIsolate,
  messages: readonly EventsMessage[],
  scope: StoringScope,
  of: SpanOf = { name: 'store events' },
): Promise<StoreOutcome> {
  const { tracing } = bound;
  if (tracing === undefined) return await storeIn(bound, messages, scope);
  const traces = messages.flatMap(({ accepted }) => accepted.map(traceOfEvent));
  return await tracing.batch(of, traces, scope.keepAlive, ({ work, next }) =>
    storeIn(bound.in(work), messagesInTrace(messages, next), scope),
  );
}

async function storeIn(
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

/** The parts of a request that waits for its events. */
export type WaitingScope = Pick<StoringScope, 'noteLineage' | 'lane'> & { readonly scope: RequestScope };

/** Stores and relays the events of a request within the time limit of its answer, together with those of others. */
export async function storeWaiting(
  bound: BoundIsolate,
  message: EventsMessage,
  waiting: WaitingScope,
): Promise<StoredEvents> {
  return await storeShared(message, shared[waiting.lane], {
    store: (messages) =>
      storeAndRelay(
        bound,
        waiting,
        () => storeAtOnce(bound, messages, waiting),
        messages.flatMap(({ accepted }) => accepted),
      ),
    keepAlive: (work) => waiting.scope.keepAlive(work),
  });
}

/** Stores events within the time limit of an answer that waits for them. */
export function storeAtOnce(
  bound: BoundIsolate,
  messages: readonly EventsMessage[],
  { scope, noteLineage, lane }: WaitingScope,
): Promise<StoreOutcome> {
  const keepAlive = (work: Promise<unknown>) => scope.keepAlive(work);
  return storeMessagesIn(bound, messages, { keepAlive, noteLineage, isPatient: false, lane });
}

/**
 * Stores events, and returns once reads with the token show them. If the relay, the clock or a feature shard does not
 * answer after the commit, there is no token: the events are stored, and the relay and the consumer do what is left.
 *
 * @param accepted the events, to fold those of the live lane, so that reads of features show them, too. Events of the bulk
 *   lane are folded by the consumer alone.
 */
export async function storeAndRelay<Outcome>(
  bound: BoundIsolate,
  waiting: WaitingScope,
  work: () => Promise<Outcome>,
  accepted: readonly AcceptedEvent[] = [],
): Promise<{ readonly outcome: Outcome; readonly token: string | undefined }> {
  const { env } = bound;
  const { scope, lane } = waiting;
  const outcome = await guarded(async () => {
    await armRelay(env);
    return await work();
  });
  try {
    const folding = lane === 'live' ? foldAtOnce(bound, accepted, waiting) : undefined;
    const [swept, folded] = await Promise.all([sweepLane(env, lane), folding]);
    const at = swept === undefined ? null : laterMoment(swept, folded);
    return { outcome, token: formatToken(at ?? (await bound.newestToken(scope))) };
  } catch (error) {
    const message = 'Stored events could not be relayed yet; the alarm of the relay retries.';
    log('warn', message, { 'event.action': 'store' }, error);
    return { outcome, token: undefined };
  }
}

/**
 * How long a request that waits for its events waits for the features of them, in milliseconds. After that they are stored,
 * and the consumer folds them.
 */
export const FOLD_AT_ONCE_MS = 5_000;

/** The folds of this isolate that requests wait for. They hold data of requests only while these wait. */
const folds = new JoinedFolds<AcceptedEvent>({
  items: 1_000,
  bytes: 1024 * 1024,
  /** As long as a fold takes that nothing delays. */
  gatherMs: 50,
  gatherMsMax: 250,
  waitMs: FOLD_AT_ONCE_MS,
});

/**
 * Folds stored events, and those that were stored before. The consumer folds them once more, which changes nothing.
 *
 * @returns the moment of their invalidation; null if others have invalidated them before, and undefined if no feature
 *   depends on them.
 */
async function foldAtOnce(
  bound: BoundIsolate,
  accepted: readonly AcceptedEvent[],
  { scope, noteLineage }: WaitingScope,
): Promise<Moment> {
  const { features } = bound.isolate.catalog;
  const counted = accepted.filter(({ type }) => features.some(({ eventType }) => eventType === type));
  if (counted.length === 0) return undefined;
  return await folds.add(
    counted.map((event) => ({ ...sized(event), keys: [identityOf(event)] })),
    {
      ...joinedFoldPorts(bound, (kept) => scope.keepAlive(kept), noteLineage),
      read: (events) => readStored(bound.db, events),
      onTimeout: () => new Error(`The features were not folded within ${FOLD_AT_ONCE_MS} ms.`),
    },
  );
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

/**
 * Invalidates every change of a lane that was committed before the call; those of the bulk lane after all live ones.
 *
 * @returns a moment with which reads show the changes, if the relay knows one.
 */
export async function sweepLane(
  env: Pick<Env, 'OUTBOX_RELAY'> & DatabasePlace,
  lane: Lane,
): Promise<ClockMoment | undefined> {
  if (lane === 'live') return await outboxRelay(env).sweepLive();
  await outboxRelay(env).sweep();
  return undefined;
}

function scorePorts({ db, env, isolate }: BoundIsolate): ScorePorts {
  return {
    types: isolate.catalog.eventTypes,
    judgeStored: (rules, batch) => judgeStored(db, rules, batch),
    send: (batch) => qualityWindow(env).add(batch),
  };
}

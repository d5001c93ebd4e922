import { admitCall, noteAnswer, noteFailure, refusalOf } from './breakers.ts';
import { systemNow, withTimeout } from './clock.ts';
import { type CounterSample, FAILURE_CHARACTERS_MAX, type PeerFailure } from './counters.ts';
import { durationNames, TimedOutcomes } from './durations.ts';
import { Failure, isFailureCode } from './failure.ts';
import { hasCounted } from './object-counts.ts';
import { redactedReason } from './redaction.ts';
import { callInSpan } from './tracing/object-calls.ts';
import { NO_SPAN, type Span, within } from './tracing/span.ts';

/** The services that a worker calls, each by the name that metrics and logs use. */
export const PEERS = [
  'root-clock',
  'regional-clock',
  'fill-gate',
  'feature-shard',
  'outbox-relay',
  'cache-stats',
  'quality-window',
  'change-feed',
  'queued-events',
  'kafka-source',
  'rate-limiter',
  'idempotency',
  'datasets',
  'training-runs',
  'drift-watches',
  'rollouts',
  'feedback',
  'alerts',
  'queue',
  'kv',
  'colo-cache',
  'artifacts',
  'kafka',
] as const;
export type Peer = (typeof PEERS)[number];

/** How long a queue may take to accept messages, in milliseconds. */
export const QUEUE_SEND_MS = 5_000;

/** A peer did not answer within its deadline. The call may still take effect. */
export class PeerTimeout extends Error {
  override readonly name = 'PeerTimeout';
  /** As on errors of Durable Objects: the call may succeed later. */
  readonly retryable = true;

  constructor(peer: Peer, deadlineMs: number) {
    super(`The peer "${peer}" did not answer within ${deadlineMs} ms.`);
  }
}

/** The counter of all calls. */
export const PEER_CALLS = 'millrace_peer_calls_total';
/** How long the calls took, whatever their outcome. */
export const PEER_DURATIONS = durationNames('millrace_peer_call');

/** The peers, and the database, whose client has deadlines of its own. */
type Dependency = Peer | 'database';

/** `refused`: the call was not made, because the breaker of the peer is open. */
export type PeerOutcome = 'ok' | 'failed' | 'timeout' | 'refused';

/** The counter of bytes that the database and the clocks answered. */
export const PEER_BYTES = 'millrace_peer_received_bytes_total';

/** Calls of this isolate since they were last drained. */
const calls = new Map<Dependency, TimedOutcomes<Exclude<PeerOutcome, 'refused'>>>();
/** Calls that were not made since they were last drained. They took no time. */
const refusals = new Map<Dependency, number>();
/** The newest failure of each peer since they were last drained. */
const failures = new Map<Dependency, PeerFailure>();
/** Bytes of answers since they were last drained. */
const bytes = new Map<Dependency, number>();

/**
 * Calls a peer: within a deadline, counted, and with the failure that the peer has thrown. Every call to another service
 * goes through here or through the database's client (`beginCall`), so no request waits for a peer without end, and none
 * waits at all for a peer whose last calls have failed.
 *
 * @param deadlineMs from the call to the answer, in milliseconds.
 * @throws PeerRefused while the breaker is open; PeerTimeout after the deadline; the peer's `Failure`; or the error of the
 * call.
 */
export async function callPeer<T>(peer: Peer, deadlineMs: number, call: () => Promise<T>): Promise<T> {
  const end = beginCall(peer, deadlineMs);
  try {
    const answer = await withTimeout(call(), deadlineMs, () => new PeerTimeout(peer, deadlineMs));
    end('ok');
    return answer;
  } catch (error) {
    const failure = revived(error);
    end(error instanceof PeerTimeout ? 'timeout' : 'failed', error, hasAnswered(failure));
    throw failure;
  }
}

/** Counts how a call has ended. Only the first of several calls of it counts. */
export type EndOfCall = (
  outcome: Exclude<PeerOutcome, 'refused'>,
  error?: unknown,
  /** Whether the peer answered, although the call counts as failed. */
  isAnswer?: boolean,
) => void;

/**
 * Begins a call of a peer, for a client that has deadlines of its own.
 *
 * @param deadlineMs when the caller ends it, in milliseconds.
 * @throws PeerRefused while the breaker is open.
 */
export function beginCall(peer: Dependency, deadlineMs: number): EndOfCall {
  const admission = admitCall(peer, deadlineMs);
  if (admission === 'refused') {
    refusals.set(peer, (refusals.get(peer) ?? 0) + 1);
    hasCounted();
    throw refusalOf(peer);
  }
  const startedMs = systemNow();
  let hasEnded = false;
  return (outcome, error, isAnswer = outcome === 'ok') => {
    if (hasEnded) return;
    hasEnded = true;
    countCall(peer, outcome, systemNow() - startedMs, error);
    if (isAnswer) noteAnswer(peer);
    else noteFailure(peer, admission, error);
  };
}

/**
 * Whether an error is an answer of the peer: a `Failure`, or an exception of the object's own code, which the platform marks
 * as `remote`. Where the object could not be reached, or is overloaded, the platform says that, too (Durable Objects, "Error
 * handling").
 */
function hasAnswered(error: unknown): boolean {
  if (error instanceof Failure) return true;
  if (!(error instanceof Error)) return false;
  const [remote, ...away] = ['remote', 'retryable', 'overloaded'].map(
    (mark) => Reflect.get(error, mark) === true,
  );
  return remote === true && !away.includes(true);
}

/**
 * An object whose methods are called by `callPeer`, each in a span of its own.
 *
 * @param deadlinesMs by method; `default` for the others.
 * @param span the one that the calls are within.
 */
export function peerStub<Stub extends object>(
  peer: Peer,
  stub: Stub,
  deadlinesMs: Readonly<Record<string, number>> & { readonly default: number },
  span: Span = NO_SPAN,
): Stub {
  return new Proxy(stub, {
    get(target, method) {
      const member: unknown = Reflect.get(target, method, target);
      if (typeof member !== 'function' || typeof method === 'symbol') return member;
      const deadlineMs = deadlinesMs[method] ?? deadlinesMs.default;
      if (!span.isRecording)
        return (...sent: unknown[]) =>
          callPeer(peer, deadlineMs, async () => await Reflect.apply(member, target, sent));
      const name = `${peer}/${method}`;
      const attributes = { 'rpc.system.name': 'cloudflare_workers', 'rpc.method': name };
      return (...sent: unknown[]) =>
        within(span, { name, kind: 'client', attributes }, (call) =>
          callPeer(peer, deadlineMs, () => callInSpan(target, method, sent, call)),
        );
    },
  });
}

/** The calls since the last call of this function, as counters. */
export function drainPeerCalls(): CounterSample[] {
  const drained = [...calls].flatMap(([peer, counted]) =>
    counted.samples([PEER_CALLS, 'outcome'], PEER_DURATIONS, { peer }),
  );
  calls.clear();
  const refused = [...refusals].map(([peer, value]) => ({
    name: PEER_CALLS,
    labels: { peer, outcome: 'refused' satisfies PeerOutcome },
    value,
  }));
  refusals.clear();
  const received = [...bytes].map(([peer, value]) => ({ name: PEER_BYTES, labels: { peer }, value }));
  bytes.clear();
  return [...drained, ...refused, ...received];
}

/**
 * Counts a call that was made.
 *
 * @param ms from the call to the whole answer, in milliseconds.
 * @param error why it failed.
 */
function countCall(
  peer: Dependency,
  outcome: Exclude<PeerOutcome, 'refused'>,
  ms: number,
  error: unknown,
): void {
  let counted = calls.get(peer);
  if (counted === undefined) {
    counted = new TimedOutcomes();
    calls.set(peer, counted);
  }
  counted.add(outcome, ms);
  if (outcome !== 'ok' && error !== undefined) {
    const message = redactedReason(error).slice(0, FAILURE_CHARACTERS_MAX);
    failures.set(peer, { peer, message, atMs: systemNow() });
  }
  hasCounted();
}

/** The newest failure of each peer since the last call of this function. */
export function drainFailures(): PeerFailure[] {
  const drained = [...failures.values()];
  failures.clear();
  return drained;
}

/** Counts the bytes of an answer. */
export function countBytes(peer: Dependency, received: number): void {
  bytes.set(peer, (bytes.get(peer) ?? 0) + received);
}

/** An error that has crossed an RPC is no longer of its class: a `Failure` is made again from its fields. */
function revived(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Failure || error.name !== 'Failure') return error;
  const code: unknown = Reflect.get(error, 'code');
  if (!isFailureCode(code)) return error;
  const [pointer, retryAfterS]: unknown[] = [
    Reflect.get(error, 'pointer'),
    Reflect.get(error, 'retryAfterS'),
  ];
  return new Failure(code, error.message, {
    ...(typeof pointer === 'string' ? { pointer } : {}),
    ...(typeof retryAfterS === 'number' ? { retryAfterS } : {}),
    cause: error,
  });
}

import { type Admission, BREAKER_RULE, Breaker } from './breaker.ts';
import { type Now, systemNow } from './clock.ts';
import { log } from './logger.ts';
import { systemRandom } from './random.ts';
import { redactedReason } from './redaction.ts';

/**
 * A peer is not called, because its last calls have failed. Callers handle it as a call that fails at once; nothing has
 * taken effect.
 */
export class PeerRefused extends Error {
  override readonly name = 'PeerRefused';
  /** As on errors of Durable Objects: the call may succeed later. */
  readonly retryable = true;

  /** @param forMs how long at least, in milliseconds. */
  constructor(peer: string, forMs: number, reason: string) {
    super(
      `The peer "${peer}" is not called for ${Math.ceil(forMs)} ms more, because its last call failed: ${reason}`,
    );
  }
}

interface Guarded {
  readonly breaker: Breaker;
  /** Why the newest call failed: type, code and plain words. */
  reason: string;
}

/** The breakers of this isolate. The objects that run in it share them. */
const guarded = new Map<string, Guarded>();
let now: Now = systemNow;

function guardOf(peer: string): Guarded {
  let guard = guarded.get(peer);
  if (guard === undefined) {
    guard = { breaker: new Breaker(BREAKER_RULE, systemRandom), reason: '' };
    guarded.set(peer, guard);
  }
  return guard;
}

/** Whether a call is made. @param deadlineMs of the call, in milliseconds. */
export function admitCall(peer: string, deadlineMs: number): Admission {
  return guardOf(peer).breaker.admit(now(), deadlineMs);
}

/** The error of a call that is refused now. */
export function refusalOf(peer: string): PeerRefused {
  const { breaker, reason } = guardOf(peer);
  return new PeerRefused(peer, breaker.remainingMs(now()), reason);
}

/** A call was answered. */
export function noteAnswer(peer: string): void {
  if (!guardOf(peer).breaker.succeeded()) return;
  log('info', 'A service answers again.', { 'event.action': 'breaker-closed', 'millrace.dependency': peer });
}

/** A call failed. */
export function noteFailure(peer: string, admission: Admission, error: unknown): void {
  const guard = guardOf(peer);
  guard.reason = redactedReason(error);
  if (!guard.breaker.failed(admission, now())) return;
  log(
    'warn',
    'Calls of a service are refused for a moment, because its last calls failed.',
    { 'event.action': 'breaker-opened', 'millrace.dependency': peer },
    error,
  );
}

/** Forgets all failures, as a new isolate would. */
export function resetBreakers(clock: Now = systemNow): void {
  guarded.clear();
  now = clock;
}

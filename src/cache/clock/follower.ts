import type { Time } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import type { Token } from './clock.ts';
import {
  ageMs,
  applySync,
  type ClockParent,
  type Mirror,
  newMirror,
  oldestSourceAgeMs,
  type SyncRequest,
} from './mirror.ts';

/** What one request brings: the parent by its own stub, and a way to outlive itself. */
export interface FollowerContext {
  readonly parent: ClockParent;
  /** Keeps a promise alive that other requests may wait on after this one is gone. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
  /** Called when a sync has brought news of invalidations, or another epoch. */
  readonly onMoved?: (() => void) | undefined;
}

export interface FreshnessNeed {
  readonly maxAgeMs: number;
  readonly atLeast: Token | undefined;
  /** How old the watermarks should be at most. Not being met is no failure: the reader's policy decides then. */
  readonly sourceMaxAgeMs?: number | undefined;
}

/** Longer than any sync that still serves a 100 ms answer; then the caller's policy for an unreachable clock applies. */
const SYNC_TIMEOUT_MS = 1_500;

interface SyncInFlight {
  readonly sentTicket: number;
  readonly request: SyncRequest;
  readonly settled: Promise<SyncOutcome>;
}
type SyncOutcome = { readonly ok: true } | { readonly ok: false; readonly error: unknown };

/**
 * Keeps a mirror close to its parent, with as few calls as the readers' needs allow: at most one sync is in
 * flight, and a reader may join it only if it was sent after the reader began. Order among both is told by a
 * counter, not by a clock.
 *
 * A request that is cancelled takes its calls with it, so nobody waits on another's sync without a limit.
 */
export class ClockFollower {
  readonly mirror: Mirror = newMirror();
  readonly #time: Time;
  #ticket = 0;
  /** Of the newest sync, whatever became of it. */
  #lastSentAtMs = Number.NEGATIVE_INFINITY;
  #inFlight: SyncInFlight | undefined;

  constructor(time: Time) {
    this.#time = time;
  }

  /** Marks the beginning of a request. */
  begin(): number {
    this.#ticket += 1;
    return this.#ticket;
  }

  /**
   * Returns once the mirror is as fresh as needed by the request that began at `ticket`.
   *
   * @throws Failure `clock_unavailable`, `token_from_another_epoch`, `token_from_the_future`.
   */
  async ensure(need: FreshnessNeed, ticket: number, context: FollowerContext): Promise<void> {
    await this.follow(need, ticket, context);
    this.#checkToken(need.atLeast);
  }

  /**
   * As `ensure`, without a verdict on the token: what a clock between does, for its askers judge by themselves.
   *
   * @throws Failure `clock_unavailable`.
   */
  async follow(need: FreshnessNeed, ticket: number, context: FollowerContext): Promise<void> {
    if (this.isReady(need, context)) return;
    const sync = this.#syncAfter(ticket, need, context);
    // A reader waits for news of a source that lags; that there are none is no failure.
    await (this.#satisfies(need) ? sync.catch(() => undefined) : sync);
  }

  /** Whether the mirror is as fresh as needed without any waiting; sees to it that it stays so. */
  isReady(need: FreshnessNeed, context: FollowerContext): boolean {
    const nowMs = this.#time.now();
    if (!this.#satisfies(need, nowMs)) return false;
    const { askAgainMs } = this.mirror;
    // Since the sending and not since the mirror's newest knowledge: a parent may have nothing newer for a while.
    const sinceSyncMs = nowMs - this.#lastSentAtMs;
    // News of a source are not waited for more often than the parent can bear to be asked.
    if (sinceSyncMs >= askAgainMs && this.#sourcesLag(need, nowMs)) return false;
    // In the background the mirror asks as often as its parent can bear, so that readers seldom have to wait.
    const due = sinceSyncMs >= Math.min(askAgainMs, need.maxAgeMs / 2);
    if (due && this.#inFlight === undefined) this.#send(need, context);
    return true;
  }

  #sourcesLag({ sourceMaxAgeMs }: FreshnessNeed, nowMs: number): boolean {
    if (sourceMaxAgeMs === undefined) return false;
    return oldestSourceAgeMs(this.mirror.completeUntilMs, nowMs) > sourceMaxAgeMs;
  }

  #satisfies({ maxAgeMs, atLeast }: FreshnessNeed, nowMs = this.#time.now()): boolean {
    const { clock } = this.mirror;
    if (maxAgeMs <= 0 || ageMs(this.mirror, nowMs) > maxAgeMs) return false;
    return atLeast === undefined || (atLeast.epoch === clock.epoch && atLeast.seq <= clock.seq);
  }

  #checkToken(token: Token | undefined): void {
    const { clock } = this.mirror;
    if (token === undefined) return;
    if (token.epoch !== clock.epoch) {
      throw new Failure(
        'token_from_another_epoch',
        'The clock was made anew since this token was given out.',
        {
          pointer: 'Millrace-Token',
        },
      );
    }
    if (token.seq > clock.seq) {
      throw new Failure('token_from_the_future', 'No answer with this token has been given out.', {
        pointer: 'Millrace-Token',
      });
    }
  }

  /** Ends with a sync that was sent after `ticket` and asked for at least what is needed. */
  async #syncAfter(ticket: number, need: FreshnessNeed, context: FollowerContext): Promise<void> {
    let earlier = this.#inFlight;
    while (earlier !== undefined && !mayJoin(earlier, ticket, need)) {
      await this.#outcome(earlier);
      if (this.#satisfies(need)) return;
      earlier = this.#inFlight;
    }
    const outcome = await this.#outcome(earlier ?? this.#send(need, context));
    if (outcome.ok) return;
    throw new Failure('clock_unavailable', 'The tag clock does not answer.', {
      retryAfterS: 1,
      cause: outcome.error,
    });
  }

  #send(need: FreshnessNeed, { parent, keepAlive, onMoved }: FollowerContext): SyncInFlight {
    const { clock } = this.mirror;
    const sent = { atMs: this.#time.now(), order: this.begin() };
    this.#lastSentAtMs = sent.atMs;
    const request: SyncRequest = {
      epoch: clock.epoch,
      sinceSeq: clock.seq,
      maxAgeMs: need.maxAgeMs,
      atLeast: need.atLeast,
      sourceMaxAgeMs: need.sourceMaxAgeMs,
    };
    const settled = this.#time
      .withTimeout(parent.sync(request), SYNC_TIMEOUT_MS, () => new Error('The sync took too long.'))
      .then((answer): SyncOutcome => {
        const { clock: before } = this.mirror;
        const { seq } = before;
        applySync(this.mirror, answer, sent);
        if (this.mirror.clock !== before || before.seq !== seq) onMoved?.();
        return { ok: true };
      })
      .catch((error: unknown): SyncOutcome => ({ ok: false, error }))
      .finally(() => {
        if (this.#inFlight === sync) this.#inFlight = undefined;
      });
    const sync: SyncInFlight = { sentTicket: sent.order, request, settled };
    this.#inFlight = sync;
    keepAlive(settled);
    return sync;
  }

  /** Waits for a sync that may belong to a request which is gone: then its place is freed for the next. */
  async #outcome(sync: SyncInFlight): Promise<SyncOutcome> {
    try {
      return await this.#time.withTimeout(
        sync.settled,
        SYNC_TIMEOUT_MS * 2,
        () => new Error('The sync never came back.'),
      );
    } catch (error) {
      if (this.#inFlight === sync) this.#inFlight = undefined;
      return { ok: false, error };
    }
  }
}

/** A sync that was sent before the reader began may have been answered before what the reader has to see. */
function mayJoin({ sentTicket, request }: SyncInFlight, ticket: number, need: FreshnessNeed): boolean {
  return sentTicket > ticket && request.maxAgeMs <= need.maxAgeMs && covers(request, need.atLeast);
}

function covers({ maxAgeMs, atLeast }: SyncRequest, token: Token | undefined): boolean {
  if (token === undefined || maxAgeMs <= 0) return true;
  return atLeast !== undefined && atLeast.epoch === token.epoch && atLeast.seq >= token.seq;
}

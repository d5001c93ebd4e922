import type { Time } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import type { ClockLimits } from './changed-tags.ts';
import type { Token } from './clock.ts';
import {
  ageMs,
  applySync,
  type ClockParent,
  isSetBack,
  type Mirror,
  newMirror,
  oldestSourceAgeMs,
  type SyncRequest,
} from './mirror.ts';

/** The parts of a request that a sync uses: its stub of the parent, and the means to outlive the request. */
export interface FollowerContext {
  readonly parent: ClockParent;
  /** Keeps a promise alive after this request ends, because other requests may wait for it. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
  /** Called when a sync brought new invalidations or another epoch. */
  readonly onMoved?: (() => void) | undefined;
}

export interface FreshnessNeed {
  readonly maxAgeMs: number;
  readonly atLeast: Token | undefined;
  /** The wanted maximum age of the watermarks. Missing it is no error: the reader's policy decides then. */
  readonly sourceMaxAgeMs?: number | undefined;
}

/**
 * Far beyond an answer within 100 ms. After it, the caller applies its policy for an unreachable clock, and still answers
 * within a second.
 */
const SYNC_TIMEOUT_MS = 900;
/** A sync that fails only after this long has found a silent clock, in milliseconds. One that fails sooner is repeated. */
const SILENT_AFTER_MS = 800;
/** How long after such a sync readers do not wait for another one, in milliseconds, unless one succeeds. */
const SILENT_MS = 5_000;

interface SyncInFlight {
  readonly sentTicket: number;
  readonly request: SyncRequest;
  readonly settled: Promise<SyncOutcome>;
}
type SyncOutcome = { readonly ok: true } | { readonly ok: false; readonly error: unknown };

/**
 * Keeps a mirror as fresh as its readers need, with few calls: at most one sync is in flight, and a reader may join
 * it only if it was sent after the reader began. A counter orders readers and syncs, not a clock.
 *
 * A cancelled request cancels its calls, so every wait for another request's sync has a timeout. A clock that hangs costs
 * a reader one timeout. While it stays silent, readers fail at once and leave a sync behind that finds out when the clock
 * answers again.
 */
export class ClockFollower {
  readonly mirror: Mirror;
  readonly #time: Time;
  readonly #silentMs: number;
  #ticket = 0;
  /** When the newest sync was sent, whether it succeeded or not. */
  #lastSentAtMs = Number.NEGATIVE_INFINITY;
  #inFlight: SyncInFlight | undefined;
  /** When the newest sync found the clock silent; undefined once a sync has succeeded. */
  #silentAtMs: number | undefined;

  /**
   * @param options.silentMs how long readers do not wait for a clock that was silent; 0 makes each of them wait.
   * @param options.limits what the mirror remembers.
   */
  constructor(
    time: Time,
    { silentMs = SILENT_MS, limits }: { silentMs?: number; limits?: ClockLimits | undefined } = {},
  ) {
    this.mirror = newMirror(limits);
    this.#time = time;
    this.#silentMs = silentMs;
  }

  /** Returns a ticket that orders this request against the syncs. */
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
   * As `ensure`, without checking the token. A regional clock uses it, because the isolates that ask it check their
   * tokens themselves.
   *
   * @throws Failure `clock_unavailable`.
   */
  async follow(need: FreshnessNeed, ticket: number, context: FollowerContext): Promise<void> {
    if (this.isReady(need, context)) return;
    const sync = this.#syncAfter(ticket, need, context);
    // The mirror itself is fresh enough; the sync is for a lagging source only, so its failure is ignored.
    await (this.#satisfies(need) ? sync.catch(() => undefined) : sync);
  }

  /** Whether the mirror is fresh enough without waiting. Starts a background sync when one is due. */
  isReady(need: FreshnessNeed, context: FollowerContext): boolean {
    const nowMs = this.#time.now();
    if (!this.#satisfies(need, nowMs)) return false;
    const { askAgainMs } = this.mirror;
    // Measured from the last sending, because a parent may have nothing newer for a while.
    const sinceSyncMs = nowMs - this.#lastSentAtMs;
    // A reader waits for a lagging source only as often as the parent allows syncs.
    if (sinceSyncMs >= askAgainMs && this.#sourcesLag(need, nowMs)) return false;
    // Background syncs run as often as the parent allows, so that readers rarely wait.
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
        "The token is of another epoch: the tag clock's storage was replaced since. Drop the token and retry.",
        {
          pointer: 'Millrace-Token',
        },
      );
    }
    if (token.seq > clock.seq) {
      throw new Failure(
        'token_from_the_future',
        'The token is newer than the tag clock. Drop the token and retry.',
        {
          pointer: 'Millrace-Token',
        },
      );
    }
  }

  /** Resolves after a sync that was sent after `ticket` and that asked for at least `need`. */
  async #syncAfter(ticket: number, need: FreshnessNeed, context: FollowerContext): Promise<void> {
    if (this.isSilent) {
      if (this.#inFlight === undefined) this.#send(need, context);
      throw unavailable(undefined);
    }
    let earlier = this.#inFlight;
    while (earlier !== undefined && !mayJoin(earlier, ticket, need)) {
      const { ok } = await this.#outcome(earlier);
      if (this.#satisfies(need)) return;
      if (!ok && this.isSilent) throw unavailable(undefined);
      earlier = this.#inFlight;
    }
    const outcome = await this.#outcome(earlier ?? this.#send(need, context));
    if (!outcome.ok) throw unavailable(outcome.error);
  }

  /** Whether the clock has lately not answered in time. */
  get isSilent(): boolean {
    if (this.#silentAtMs === undefined) return false;
    const nowMs = this.#time.now();
    return nowMs - this.#silentAtMs < this.#silentMs && !isSetBack(this.#silentAtMs, nowMs);
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
      takesPhases: true,
    };
    const settled = this.#time
      .withTimeout(
        parent.sync(request),
        SYNC_TIMEOUT_MS,
        () => new Error(`The clock's parent did not answer within ${SYNC_TIMEOUT_MS} ms.`),
      )
      .then((answer): SyncOutcome => {
        this.#silentAtMs = undefined;
        const { clock: before } = this.mirror;
        const { seq } = before;
        applySync(this.mirror, answer, sent);
        if (this.mirror.clock !== before || before.seq !== seq) onMoved?.();
        return { ok: true };
      })
      .catch((error: unknown): SyncOutcome => {
        const nowMs = this.#time.now();
        if (nowMs - sent.atMs >= SILENT_AFTER_MS) this.#silentAtMs = nowMs;
        return { ok: false, error };
      })
      .finally(() => {
        if (this.#inFlight === sync) this.#inFlight = undefined;
      });
    const sync: SyncInFlight = { sentTicket: sent.order, request, settled };
    this.#inFlight = sync;
    keepAlive(settled);
    return sync;
  }

  /** Waits for a sync. Its request may have been cancelled, so a timeout makes room for the next sync. */
  async #outcome(sync: SyncInFlight): Promise<SyncOutcome> {
    try {
      return await this.#time.withTimeout(
        sync.settled,
        SYNC_TIMEOUT_MS * 2,
        () => new Error(`A sync of another request did not settle within ${SYNC_TIMEOUT_MS * 2} ms.`),
      );
    } catch (error) {
      if (this.#inFlight === sync) this.#inFlight = undefined;
      return { ok: false, error };
    }
  }
}

function unavailable(cause: unknown): Failure {
  return new Failure('clock_unavailable', 'The tag clock did not answer. Retry the request.', {
    retryAfterS: 1,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A sync that was sent before the reader began may miss an invalidation that the reader has to see. */
function mayJoin({ sentTicket, request }: SyncInFlight, ticket: number, need: FreshnessNeed): boolean {
  return sentTicket > ticket && request.maxAgeMs <= need.maxAgeMs && covers(request, need.atLeast);
}

function covers({ maxAgeMs, atLeast }: SyncRequest, token: Token | undefined): boolean {
  if (token === undefined || maxAgeMs <= 0) return true;
  return atLeast !== undefined && atLeast.epoch === token.epoch && atLeast.seq >= token.seq;
}

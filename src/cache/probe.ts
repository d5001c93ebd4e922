import type { Now } from '../platform/clock.ts';
import { type Constant, type LogFields, type LogLevel, log } from '../platform/logger.ts';
import type { CachedAnswer } from './cached-answer.ts';
import { type Clock, newClock } from './clock/clock.ts';
import { applyDelta } from './clock/delta.ts';
import { type ClockParent, oldestSourceAgeMs } from './clock/mirror.ts';
import type { Entry } from './entry.ts';
import { bodyAndEtag, keyTag } from './entry.ts';
import type { ReadRequest } from './read-through.ts';

/** The result of a probe of one answer. */
export type ProbeVerdict =
  | { readonly verdict: 'consistent'; readonly reason: 'equal' | 'changed_later' }
  | { readonly verdict: 'inconsistent'; readonly reason: 'served_invalidated' | 'missed_invalidation' }
  | {
      readonly verdict: 'inconclusive';
      readonly reason:
        | 'unreachable'
        | 'new_epoch'
        | 'clock_set_back'
        | 'forgotten'
        | 'source_behind'
        | 'changed_back';
    };

/** State of the root clock some time after the origin was read for comparison. */
export interface RootState {
  readonly clock: Clock;
  /** True if every source's watermark has passed that read, so that `clock` has all invalidations up to it. */
  readonly isComplete: boolean;
}

/**
 * Judges a cached answer that differs from a later read of the origin.
 *
 * Call `s` the entry's stamp and `m` its mirror's `seq` when it was served. The entry was read after `s` was taken,
 * and the origin was read for comparison after the answer. So a change that only one of them shows was committed in
 * between. It is invalidated after its commit, at a `v > s`. The possible orders of commit, invalidation, serving,
 * comparison and the root's answer reduce to:
 *
 * - `v > m`: invalidated after the mirror's last news from the root. The entry was right as of its moment.
 * - `s < v <= m`: the mirror knew of the invalidation and let the entry pass. It is wrong whatever came later.
 * - No `v` yet, and a source's watermark has not passed the comparison: inconclusive. A change with an outbox row is
 *   never called missed, however late its invalidation is, because a pass over the outbox that began after the
 *   comparison invalidates it before it ends.
 * - No `v`, and all watermarks have passed it: the change was never invalidated, or not with a tag of this answer. If
 *   its writer has no outbox row and announces it by a purge only, a purge later than `GRACE_MS` counts as none.
 *
 * A clock tells only a tag's newest change, which may be another one of the same tag or of one with the same hash.
 * A missed or wrongly served change may then look like one that was invalidated later. So the verdict has false
 * negatives, but no false positives.
 *
 * @param judgedSeq `m`.
 */
export function judgeDifference(
  { epoch, stamp, tagHashes }: Pick<Entry, 'epoch' | 'stamp' | 'tagHashes'>,
  judgedSeq: number,
  { clock, isComplete }: RootState,
): ProbeVerdict {
  if (clock.epoch !== epoch) return { verdict: 'inconclusive', reason: 'new_epoch' };
  // The clock's storage was restored to an earlier point, so it issues the same numbers a second time.
  if (clock.seq < Math.max(stamp, judgedSeq)) return { verdict: 'inconclusive', reason: 'clock_set_back' };
  if (clock.changed.floorSeq > stamp) return { verdict: 'inconclusive', reason: 'forgotten' };
  const versions = tagHashes.map((tag) => clock.changed.newestSeqOf(tag)).filter((seq) => seq > stamp);
  if (versions.some((seq) => seq <= judgedSeq))
    return { verdict: 'inconsistent', reason: 'served_invalidated' };
  if (versions.length > 0) return { verdict: 'consistent', reason: 'changed_later' };
  if (!isComplete) return { verdict: 'inconclusive', reason: 'source_behind' };
  return { verdict: 'inconsistent', reason: 'missed_invalidation' };
}

export interface ProbePorts {
  readonly now: Now;
  readonly sleep: (ms: number) => Promise<void>;
  readonly digest: (text: string) => Promise<string>;
  readonly count: (view: string, verdict: ProbeVerdict) => void;
  /** The root itself, not the mirror: no later sync brings back an invalidation that the mirror has lost. */
  readonly root: ClockParent;
  /** Resolves once the root has persisted the invalidation. */
  readonly invalidate: (tags: readonly string[]) => Promise<unknown>;
}

/** The part of a request that a probe uses. */
export interface ProbeContext {
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** Shortest pause between two probes of an isolate, in milliseconds. Each probe reads the origin once, rarely twice. */
const PAUSE_MS = 1_000;
/** How long a writer without an outbox row may take from its commit to its purge, in milliseconds. */
export const GRACE_MS = 5_000;
/** How often the root is asked while a watermark lags: a heartbeat takes longer than a sync waits for it. */
const ROOT_ASKS_MAX = 3;
/** Pause between two such requests, in milliseconds: longer than the pause between two heartbeats. */
const ROOT_PAUSE_MS = 2_000;
/** How far the watermark has to be past the read, in milliseconds, to allow for rounding and clock drift. */
const WATERMARK_SLACK_MS = 10;
/** A probe that runs longer than this, in milliseconds, counts as cancelled with its request. */
const LEASE_MS = 30_000;

/**
 * Compares a small sample of cache hits with the origin after the answer was sent, as Meta's Polaris does ("Cache
 * made consistent", Engineering at Meta, 2022). If a change was never invalidated, the probe logs it and purges the key.
 */
export class Probe {
  readonly #ports: ProbePorts;
  #begunAtMs = Number.NEGATIVE_INFINITY;
  #underWay = false;

  constructor(ports: ProbePorts) {
    this.#ports = ports;
  }

  /** Probes an answer of the sample, unless another probe is under way or has just begun. */
  sample(
    request: ReadRequest,
    { entry, source, unverified, judgedSeq }: CachedAnswer,
    context: ProbeContext,
  ): void {
    const { now } = this.#ports;
    if (!source.hit || source.stale || unverified !== undefined || !request.policy.probe) return;
    const sinceMs = now() - this.#begunAtMs;
    if (sinceMs < (this.#underWay ? LEASE_MS : PAUSE_MS)) return;
    const begunAtMs = now();
    this.#begunAtMs = begunAtMs;
    this.#underWay = true;
    const probe = this.#look(request, entry, judgedSeq)
      .catch((error: unknown): ProbeVerdict => {
        tell(
          'warn',
          'A probe failed: the origin or the root clock did not answer.',
          { 'millrace.view': request.view },
          error,
        );
        return { verdict: 'inconclusive', reason: 'unreachable' };
      })
      .then((verdict) => this.#ports.count(request.view, verdict))
      .finally(() => {
        if (this.#begunAtMs === begunAtMs) this.#underWay = false;
      });
    context.keepAlive(probe);
  }

  async #look(request: ReadRequest, entry: Entry, judgedSeq: number): Promise<ProbeVerdict> {
    const etag = await this.#originEtag(request, entry);
    if (etag === undefined) return { verdict: 'inconclusive', reason: 'unreachable' };
    if (etag === entry.etag) return { verdict: 'consistent', reason: 'equal' };
    const readAtMs = this.#ports.now();
    await this.#ports.sleep(GRACE_MS);
    const verdict = await this.#judge(entry, judgedSeq, readAtMs);
    if (verdict.verdict !== 'inconsistent') return verdict;
    if (verdict.reason === 'missed_invalidation') {
      const again = await this.#originEtag(request, entry);
      if (again === undefined) return { verdict: 'inconclusive', reason: 'unreachable' };
      if (again === entry.etag) return { verdict: 'inconclusive', reason: 'changed_back' };
    }
    await this.#heal(request, verdict.reason);
    return verdict;
  }

  /** Asks the root until its watermarks have passed the read, at most `ROOT_ASKS_MAX` times. */
  async #judge(entry: Entry, judgedSeq: number, readAtMs: number): Promise<ProbeVerdict> {
    for (let asked = 1; ; asked += 1) {
      const verdict = judgeDifference(entry, judgedSeq, await this.#askRoot(entry, readAtMs));
      if (verdict.reason !== 'source_behind' || asked === ROOT_ASKS_MAX) return verdict;
      await this.#ports.sleep(ROOT_PAUSE_MS);
    }
  }

  /** The root's changes since the entry's stamp, and whether they are complete up to `readAtMs`. */
  async #askRoot({ epoch, stamp }: Entry, readAtMs: number): Promise<RootState> {
    const sentAtMs = this.#ports.now();
    // If a watermark has not passed the read, the root starts a pass over its sources.
    const sourceMaxAgeMs = Math.max(0, sentAtMs - readAtMs - WATERMARK_SLACK_MS);
    const request = { epoch, sinceSeq: stamp, maxAgeMs: 0, atLeast: undefined, sourceMaxAgeMs };
    const answer = await this.#ports.root.sync(request);
    const clock = newClock(answer.epoch);
    applyDelta(clock, answer);
    // Ages are subtracted from the time of sending. The answer came later, so the watermark is at least that new.
    const completeUntilMs = new Map(
      Object.entries(answer.sources).map(([source, ageMs]) => [source, sentAtMs - ageMs]),
    );
    return { clock, isComplete: oldestSourceAgeMs(completeUntilMs, sentAtMs) <= sourceMaxAgeMs };
  }

  /**
   * Reads with the entry's own `now`: an answer of another grain may differ from it and both be right.
   *
   * @returns undefined for an answer that only substitutes the origin's, as while the database does not answer in time.
   */
  async #originEtag(request: ReadRequest, { now = this.#ports.now() }: Entry): Promise<string | undefined> {
    const { value, storable } = await request.load(now);
    return storable ? (await bodyAndEtag(value, this.#ports.digest)).etag : undefined;
  }

  /** Logs which view lacks a tag or has an uncaptured writer, and purges the key. The key may name a person: the log has none. */
  async #heal({ view, key, purgeKey }: ReadRequest, reason: ProbeVerdict['reason']): Promise<void> {
    const fields = { 'event.reason': reason, 'millrace.view': view };
    tell(
      'error',
      'A cached answer differed from the origin, and no invalidation accounts for it. Its key is purged.',
      fields,
    );
    // The verdict is reported even if the purge fails.
    await this.#ports
      .invalidate([keyTag(purgeKey ?? key)])
      .catch((error: unknown) =>
        tell(
          'warn',
          'The key of an inconsistent answer could not be purged; it stays until its TTL.',
          { 'millrace.view': view },
          error,
        ),
      );
  }
}

function tell<const Message extends string>(
  level: LogLevel,
  message: Constant<Message>,
  fields: LogFields,
  error?: unknown,
): void {
  log<Message>(level, message, { 'event.action': 'cache-probe', ...fields }, error);
}

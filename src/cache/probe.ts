import type { Now } from '../platform/clock.ts';
import { type LogFields, type LogLevel, log } from '../platform/logger.ts';
import { type Clock, newClock } from './clock/clock.ts';
import { applyDelta } from './clock/delta.ts';
import { type ClockParent, oldestSourceAgeMs } from './clock/mirror.ts';
import type { Entry } from './entry.ts';
import { bodyAndEtag, keyTag } from './entry.ts';
import type { CachedAnswer, ReadRequest } from './read-through.ts';

/** What a probe found out about one answer. */
export type ProbeVerdict =
  | { readonly verdict: 'consistent'; readonly reason: 'equal' | 'changed_later' }
  | { readonly verdict: 'inconsistent'; readonly reason: 'served_invalidated' | 'missed_invalidation' }
  | {
      readonly verdict: 'inconclusive';
      readonly reason: 'unreachable' | 'new_epoch' | 'clock_set_back' | 'source_behind' | 'changed_back';
    };

/** The root clock, some time after the origin was read for comparison. */
export interface RootWord {
  readonly clock: Clock;
  /** Whether every source has told what it committed up to that read: `clock` then has the invalidation of it. */
  readonly isComplete: boolean;
}

/**
 * Judges an answer that differs from what the origin said after it was given.
 *
 * Call `s` the entry's stamp and `m` its mirror's `seq` when it was judged to hold. The entry was read after `s`
 * was taken, and the origin for comparison after the answer, so a change that one shows and the other does not was
 * committed in between. It is invalidated after it is committed, at a `v > s`. Of all orders of commit,
 * invalidation, serving, comparison and the root's word this leaves:
 *
 * - `v > m`: invalidated after the mirror had last heard of the root. The entry was right as of its moment.
 * - `s < v <= m`: the mirror had to know and let the entry pass. It is wrong whatever came later.
 * - No `v` yet, and a source may still be about to tell: nothing can be said. However long an invalidation takes,
 *   a change with an outbox row is never called missed, because a pass over the outbox that began after the
 *   comparison invalidates it before it ends.
 * - No `v`, and all sources have told: nobody has invalidated the change, or not with a tag of this answer. Where
 *   its writer has no outbox row and announces it by a purge alone, a purge that comes later than `GRACE_MS` is
 *   taken for none.
 *
 * A slot has only its newest version, and may have it of another change, by the same tag or by chance. So a
 * change that was missed or wrongly served may look like one that was invalidated later: the judgement may be
 * silent, and does not cry wolf.
 *
 * @param judgedSeq `m`.
 */
export function judgeDifference(
  { epoch, stamp, slots }: Pick<Entry, 'epoch' | 'stamp' | 'slots'>,
  judgedSeq: number,
  { clock, isComplete }: RootWord,
): ProbeVerdict {
  if (clock.epoch !== epoch) return { verdict: 'inconclusive', reason: 'new_epoch' };
  // Its storage was restored to an earlier point: it gives numbers out a second time.
  if (clock.seq < Math.max(stamp, judgedSeq)) return { verdict: 'inconclusive', reason: 'clock_set_back' };
  const versions = slots.map((slot) => clock.changed[slot] ?? 0).filter((seq) => seq > stamp);
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
  /** The root itself, and not the mirror: what a mirror has lost, no later sync brings back to it. */
  readonly root: ClockParent;
  /** Returns once the root has it on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<unknown>;
}

/** What a probe needs of the request that it runs behind. */
export interface ProbeContext {
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** One probe a second and isolate at most: each reads the origin once, and seldom twice. */
const PAUSE_MS = 1_000;
/** How long a writer without an outbox row may take from its commit to its purge, in milliseconds. */
export const GRACE_MS = 5_000;
/** How often the root is asked while a source has not told everything: a heartbeat takes longer than a sync waits. */
const ROOT_ASKS_MAX = 3;
/** The pause between two of them, in milliseconds: longer than that between two heartbeats. */
const ROOT_PAUSE_MS = 2_000;
/** What the watermark has to be beyond the read, in milliseconds: times are whole numbers, and clocks drift. */
const WATERMARK_SLACK_MS = 10;
/** Tags in a line of the log: a page has a hundred, and the first name its kind. */
const TOLD_TAGS_MAX = 10;
/** A probe that has not come back after this long has died with its request. */
const LEASE_MS = 30_000;

/**
 * Compares a small sample of the answers that were served from the cache with the origin, behind the reader's
 * back, as Meta's Polaris does ("Cache made consistent", Engineering at Meta, 2022). What nobody had invalidated
 * is told in the log, and its key is purged.
 */
export class Probe {
  readonly #ports: ProbePorts;
  #begunAtMs = Number.NEGATIVE_INFINITY;
  #underWay = false;

  constructor(ports: ProbePorts) {
    this.#ports = ports;
  }

  /** Probes an answer of the sample, unless another probe is under way or has just begun. */
  consider(
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
        tell('warn', 'A probe came to no end.', { view: request.view }, error);
        return { verdict: 'inconclusive', reason: 'unreachable' };
      })
      .then((verdict) => this.#ports.count(request.view, verdict))
      .finally(() => {
        if (this.#begunAtMs === begunAtMs) this.#underWay = false;
      });
    context.keepAlive(probe);
  }

  async #look(request: ReadRequest, entry: Entry, judgedSeq: number): Promise<ProbeVerdict> {
    const { etag, tags } = await this.#readOrigin(request, entry);
    if (etag === entry.etag) return { verdict: 'consistent', reason: 'equal' };
    const readAtMs = this.#ports.now();
    await this.#ports.sleep(GRACE_MS);
    const verdict = await this.#judge(entry, judgedSeq, readAtMs);
    if (verdict.verdict !== 'inconsistent') return verdict;
    const mayHaveChangedBack = verdict.reason === 'missed_invalidation';
    if (mayHaveChangedBack && (await this.#readOrigin(request, entry)).etag === entry.etag)
      return { verdict: 'inconclusive', reason: 'changed_back' };
    await this.#heal(request, entry, { judgedSeq, tags, reason: verdict.reason });
    return verdict;
  }

  /** Asks the root until its word is enough, or some times in vain. */
  async #judge(entry: Entry, judgedSeq: number, readAtMs: number): Promise<ProbeVerdict> {
    for (let asked = 1; ; asked += 1) {
      const verdict = judgeDifference(entry, judgedSeq, await this.#askRoot(entry, readAtMs));
      if (verdict.reason !== 'source_behind' || asked === ROOT_ASKS_MAX) return verdict;
      await this.#ports.sleep(ROOT_PAUSE_MS);
    }
  }

  /** What the root knows since the entry's stamp, and whether that accounts for what was read at `readAtMs`. */
  async #askRoot({ epoch, stamp }: Entry, readAtMs: number): Promise<RootWord> {
    const sentAtMs = this.#ports.now();
    // The root has the sources looked after where they have not told of the time of the read yet.
    const sourceMaxAgeMs = Math.max(0, sentAtMs - readAtMs - WATERMARK_SLACK_MS);
    const request = { epoch, sinceSeq: stamp, maxAgeMs: 0, atLeast: undefined, sourceMaxAgeMs };
    const answer = await this.#ports.root.sync(request);
    const clock = newClock(answer.epoch);
    applyDelta(clock, answer.seq, answer.delta);
    // An age is counted back from the sending: the answer is later, so the watermark is at least there.
    const completeUntilMs = new Map(
      Object.entries(answer.sources).map(([source, ageMs]) => [source, sentAtMs - ageMs]),
    );
    return { clock, isComplete: oldestSourceAgeMs(completeUntilMs, sentAtMs) <= sourceMaxAgeMs };
  }

  /** Reads with the entry's own `now`: an answer of another grain may differ from it and both be right. */
  async #readOrigin(
    request: ReadRequest,
    { now = this.#ports.now() }: Entry,
  ): Promise<{ etag: string; tags: readonly string[] }> {
    const { value, tags } = await request.load(now);
    const { etag } = await bodyAndEtag(value, this.#ports.digest);
    return { etag, tags };
  }

  /** Tells what an operator needs to find the tag that is missing, or the writer that is not captured, and purges. */
  async #heal(
    { view, key, purgeKey }: ReadRequest,
    { epoch, stamp }: Entry,
    found: { judgedSeq: number; tags: readonly string[]; reason: ProbeVerdict['reason'] },
  ): Promise<void> {
    const { judgedSeq, reason } = found;
    // An entry keeps slots only: these are the tags that its view names for what the origin said.
    const tags = found.tags.slice(0, TOLD_TAGS_MAX).join(' ');
    const fields = { 'event.reason': reason, view, key, tags, epoch, stamp, judged_seq: judgedSeq };
    tell('error', 'An answer from the cache differed from the origin without reason.', fields);
    // What was found stays found, also where it cannot be healed.
    await this.#ports
      .invalidate([keyTag(purgeKey ?? key)])
      .catch((error: unknown) =>
        tell('warn', 'The key of a wrong answer could not be purged.', { view, key }, error),
      );
  }
}

function tell(level: LogLevel, message: string, fields: LogFields, error?: unknown): void {
  log(level, message, { 'event.action': 'cache-probe', ...fields }, error);
}

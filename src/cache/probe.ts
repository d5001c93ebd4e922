import type { Now } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';
import type { Random } from '../platform/random.ts';
import type { Clock } from './clock/clock.ts';
import type { Entry } from './entry.ts';
import { bodyAndEtag } from './entry-body.ts';
import { keyTag } from './purge.ts';
import type { CachedAnswer, ReadRequest } from './read-through.ts';

/** What a probe found out about one answer. */
export type ProbeVerdict =
  | { readonly verdict: 'consistent'; readonly reason: 'equal' | 'changed_later' }
  | { readonly verdict: 'inconsistent'; readonly reason: 'served_invalidated' | 'missed_invalidation' }
  | { readonly verdict: 'inconclusive'; readonly reason: 'unreachable' | 'new_epoch' | 'changed_back' };

/**
 * Judges an answer that differs from what the origin says since, by the clock as it stands some time later.
 *
 * The origin was read after the answer was given, so a difference has one of three causes. A commit that was
 * invalidated after the answer's mirror had last heard of the root: then the answer was right as of its moment,
 * and the clock shows a version above that moment. A commit that the mirror should have known of: the clock shows
 * a version above the entry's stamp and not above the mirror's moment. Or a commit that nobody has invalidated at
 * all: no version above the stamp, however long one waits. A commit needs a moment to be invalidated, so the clock
 * has to be looked at a while after the origin. A version above the moment may also be of an unrelated change, of
 * the same tag or slot: then a missed invalidation goes unnoticed this time. So it may be silent, and never cries
 * wolf unless an invalidation takes longer than that while.
 *
 * @param judgedSeq the mirror's `seq` when it let the entry be served.
 */
export function judgeDifference(
  entry: Pick<Entry, 'epoch' | 'stamp' | 'slots'>,
  judgedSeq: number,
  later: Clock,
): ProbeVerdict {
  if (later.epoch !== entry.epoch) return { verdict: 'inconclusive', reason: 'new_epoch' };
  const versions = entry.slots.map((slot) => later.changed[slot] ?? 0).filter((seq) => seq > entry.stamp);
  if (versions.some((seq) => seq <= judgedSeq))
    return { verdict: 'inconsistent', reason: 'served_invalidated' };
  if (versions.length > 0) return { verdict: 'consistent', reason: 'changed_later' };
  return { verdict: 'inconsistent', reason: 'missed_invalidation' };
}

export interface ProbePorts {
  /** The share of hits that are looked at, 0 to 1. */
  readonly share: number;
  readonly now: Now;
  readonly random: Random;
  readonly sleep: (ms: number) => Promise<void>;
  readonly digest: (text: string) => Promise<string>;
  readonly count: (view: string, verdict: ProbeVerdict) => void;
}

/** What a probe needs of the request that it runs behind. */
export interface ProbeContext {
  /** The mirror's clock, after a sync with the root that was sent after the call. */
  readonly freshClock: () => Promise<Clock>;
  readonly invalidate: (tags: readonly string[]) => Promise<unknown>;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** One probe a second and isolate at most: each reads the origin once, and seldom twice. */
const PAUSE_MS = 1_000;
/** How long a commit may take to be invalidated before it counts as missed, in milliseconds: the relay's delay, twice. */
export const GRACE_MS = 5_000;
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

  /** To be told of every answer. */
  consider(
    request: ReadRequest,
    { entry, source, unverified, judgedSeq }: CachedAnswer,
    context: ProbeContext,
  ): void {
    const { share, random, now } = this.#ports;
    if (!source.hit || source.stale || unverified !== undefined || !request.policy.probe) return;
    if (random() >= share) return;
    const sinceMs = now() - this.#begunAtMs;
    if (sinceMs < (this.#underWay ? LEASE_MS : PAUSE_MS)) return;
    const begunAtMs = now();
    this.#begunAtMs = begunAtMs;
    this.#underWay = true;
    const probe = this.#look(request, entry, judgedSeq, context)
      .catch((): ProbeVerdict => ({ verdict: 'inconclusive', reason: 'unreachable' }))
      .then((verdict) => this.#ports.count(request.view, verdict))
      .finally(() => {
        if (this.#begunAtMs === begunAtMs) this.#underWay = false;
      });
    context.keepAlive(probe);
  }

  async #look(
    request: ReadRequest,
    entry: Entry,
    judgedSeq: number,
    context: ProbeContext,
  ): Promise<ProbeVerdict> {
    if (await this.#isAsAtOrigin(request, entry)) return { verdict: 'consistent', reason: 'equal' };
    await this.#ports.sleep(GRACE_MS);
    const verdict = judgeDifference(entry, judgedSeq, await context.freshClock());
    if (verdict.reason !== 'missed_invalidation') {
      if (verdict.verdict === 'inconsistent') this.#tell(request, verdict);
      return verdict;
    }
    if (await this.#isAsAtOrigin(request, entry)) return { verdict: 'inconclusive', reason: 'changed_back' };
    this.#tell(request, verdict);
    await context.invalidate([keyTag(request.purgeKey ?? request.key)]);
    return verdict;
  }

  async #isAsAtOrigin(request: ReadRequest, entry: Entry): Promise<boolean> {
    const { value } = await request.load();
    const { etag } = await bodyAndEtag(value, this.#ports.digest);
    return etag === entry.etag;
  }

  #tell({ view, key }: ReadRequest, { reason }: ProbeVerdict): void {
    log('error', 'An answer from the cache differed from the origin without reason.', {
      'event.action': 'cache-probe',
      'event.reason': reason,
      view,
      key,
    });
  }
}

import { wholeListOf } from '../define/list.ts';
import type { ClockMoment, Database, Loaded } from '../define/view.ts';
import type { Time } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import type { OutboxReport, PendingTags, Reflection } from '../storage/postgres/reflecting.ts';

/**
 * Computes `asOf`: the moment of the tag clock by which every change that an answer may show has been invalidated.
 * A reader invalidates the changes that are still pending itself, before it answers (docs/coherence.md).
 */

/** The most changes that an isolate remembers as invalidated. Each takes about 100 bytes. */
export const INVALIDATED_CHANGES_MAX = 10_000;

/**
 * Remembers the changes that were invalidated while the outbox still lists them as pending. They stay pending as
 * long as the queue is unavailable; without this memory, every read of them would invalidate them again.
 */
export class InvalidatedChanges {
  readonly #momentOf = new Map<number, ClockMoment>();

  note(outboxIds: readonly number[], at: ClockMoment): void {
    for (const id of outboxIds) {
      this.#momentOf.delete(id);
      this.#momentOf.set(id, at);
    }
    for (const id of this.#momentOf.keys()) {
      if (this.#momentOf.size <= INVALIDATED_CHANGES_MAX) break;
      this.#momentOf.delete(id);
    }
  }

  /** Returns the `seq` of the change's invalidation; undefined if it is not known or belongs to another epoch. */
  seqOf(outboxId: number, epoch: string): number | undefined {
    const at = this.#momentOf.get(outboxId);
    return at?.epoch === epoch ? at.seq : undefined;
  }
}

/**
 * The epochs that ended before the root clock's current one: an isolate learns from the root that they did. The root has
 * a new epoch each time it loses its storage, so there are few.
 */
export class EndedEpochs {
  readonly #ended = new Set<string>();

  has(epoch: string): boolean {
    return this.#ended.has(epoch);
  }

  note(epochs: readonly string[]): void {
    for (const epoch of epochs) this.#ended.add(epoch);
  }
}

/** Whether `asOf` is known already, or an invalidation has to come first. */
export type AsOfDecision =
  | { readonly kind: 'known'; readonly asOf: ClockMoment | undefined }
  /** Invalidate these tags, which covers these changes. The token of that invalidation is the answer's `asOf`. */
  | { readonly kind: 'invalidate'; readonly tags: readonly string[]; readonly outboxIds: readonly number[] };

/**
 * Decides the `asOf` of an answer from a report that lists every change the answer may show.
 *
 * A change touches the answer if they share a tag. All tags of such a change are invalidated, not only the shared
 * ones: this reader has seen the change, and another answer may show it next. A truncated report may omit changes
 * that touch the answer, so the answer's own tags are invalidated as well.
 */
export function decideAsOf(
  { relayedSeq, pending, truncated }: Omit<OutboxReport, 'otherEpochs'>,
  answerTags: readonly string[],
  epoch: string,
  invalidated: InvalidatedChanges,
): AsOfDecision {
  const own = new Set(touchTagsOf(answerTags));
  const touching = pending.filter(({ tags }) => tags.some((tag) => own.has(tag)));
  const unseen = touching.filter(({ outboxId }) => invalidated.seqOf(outboxId, epoch) === undefined);
  if (truncated || unseen.length > 0) {
    const tags = new Set([...(truncated ? own : []), ...unseen.flatMap((change) => change.tags)]);
    return { kind: 'invalidate', tags: [...tags], outboxIds: unseen.map(idOf) };
  }
  const seqs = touching.map((change) => invalidated.seqOf(change.outboxId, epoch) ?? 0);
  const seq = Math.max(relayedSeq ?? 0, ...seqs);
  return { kind: 'known', asOf: seq === 0 ? undefined : { epoch, seq } };
}

/**
 * The tags by which a change touches an answer. A page also depends on rows that it does not show: a row that
 * left the list, or moved within it, shares no tag with the page, so the tag of the whole list is added.
 */
function touchTagsOf(answerTags: readonly string[]): string[] {
  return [...new Set(answerTags.flatMap((tag) => [tag, ...wholeListOf(tag)]))];
}

function idOf({ outboxId }: PendingTags): number {
  return outboxId;
}

export interface AsOfPorts {
  /** Epoch of the mirror that validates the answer; empty if the mirror has never synced. */
  readonly epoch: string;
  readonly reflection: Reflection;
  readonly invalidated: InvalidatedChanges;
  readonly ended: EndedEpochs;
  /** The root clock's epoch at some time after the call. */
  readonly currentEpoch: () => Promise<string>;
  /** Resolves with the token once the root clock has persisted the invalidation. */
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  readonly withTimeout: Time['withTimeout'];
}

/** The same time that a reader waits for a sync (clock/follower.ts). After it, the answer carries no token. */
export const ROOT_TIMEOUT_MS = 900;

/** Loads an answer and its `asOf`. Throws whatever `load` throws. */
export async function loadAsOf(load: (db: Database) => Promise<Loaded>, ports: AsOfPorts): Promise<Loaded> {
  const { epoch, reflection, invalidated } = ports;
  const loaded = await load(reflection.db);
  let report = reflection.report();
  // Without a query the answer shows no change. Without an epoch it gets no token, so `asOf` is not needed.
  if (report === undefined || epoch === '') return loaded;
  if (report.truncated) report = await reflection.reportOn(touchTagsOf(loaded.tags));
  try {
    if (!(await isOfCurrentEpoch(report, ports))) return withoutToken(loaded);
    const decision = decideAsOf(report, loaded.tags, epoch, invalidated);
    if (decision.kind === 'known')
      return decision.asOf === undefined ? loaded : { ...loaded, asOf: decision.asOf };
    const at = await ports.withTimeout(ports.invalidate(decision.tags), ROOT_TIMEOUT_MS, () => clockIsAway());
    invalidated.note(decision.outboxIds, at);
    return { ...loaded, asOf: at };
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'clock_unavailable') throw error;
    log(
      'warn',
      'The root clock did not answer about a change that an answer may show; the answer has no token and is not stored.',
      { 'event.action': 'help-invalidate' },
      error,
    );
    return withoutToken(loaded);
  }
}

/**
 * Whether no change was relayed in a newer epoch than the mirror's. The answer may show such a change, which no moment of
 * the mirror's epoch covers. The report was made before the root is asked, so every other epoch in it has ended if the
 * root has the mirror's.
 */
export async function isOfCurrentEpoch(
  { otherEpochs }: Pick<OutboxReport, 'otherEpochs'>,
  {
    epoch,
    ended,
    currentEpoch,
    withTimeout,
  }: Pick<AsOfPorts, 'epoch' | 'ended' | 'currentEpoch' | 'withTimeout'>,
): Promise<boolean> {
  const unknown = otherEpochs.filter((other) => !ended.has(other));
  if (unknown.length === 0) return true;
  const asking = withTimeout(currentEpoch(), ROOT_TIMEOUT_MS, () => clockIsAway());
  const current = await asking.catch((cause: unknown) => {
    throw clockIsAway(cause);
  });
  if (current !== epoch) return false;
  ended.note(unknown);
  return true;
}

function withoutToken(loaded: Loaded): Loaded {
  return { ...loaded, storable: false, asOf: null };
}

function clockIsAway(cause?: unknown): Failure {
  return new Failure('clock_unavailable', 'The tag clock did not answer in time. Retry the request.', {
    retryAfterS: 1,
    cause,
  });
}

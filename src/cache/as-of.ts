import { wholeListOf } from '../define/list.ts';
import type { ClockMoment, Database, Loaded } from '../define/view.ts';
import type { Time } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import type { OutboxReport, PendingTags, Reflection } from '../storage/postgres/reflecting.ts';

/**
 * How new an answer from the database is, as a moment of the tag clock: every change that it may show has been
 * invalidated then or before. What nobody has invalidated yet, its reader invalidates before it answers
 * (docs/coherence.md).
 */

/** Changes of which an isolate remembers that they have been invalidated. About 100 bytes each. */
export const INVALIDATED_CHANGES_MAX = 10_000;

/**
 * Changes that are known to have been invalidated, though the outbox may still call them pending: while the queue
 * is away they stay so for long, and without this memory every reading of them would invalidate them once more.
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

  /** The `seq` at which all tags of the change were invalidated in this epoch, or undefined. */
  seqOf(outboxId: number, epoch: string): number | undefined {
    const at = this.#momentOf.get(outboxId);
    return at?.epoch === epoch ? at.seq : undefined;
  }
}

/** What has to happen before an answer may be called as of a moment. */
export type Standing =
  | { readonly kind: 'known'; readonly asOf: ClockMoment | undefined }
  /** These tags have to be invalidated, and with them these changes are; the moment of that is the answer's. */
  | { readonly kind: 'invalidate'; readonly tags: readonly string[]; readonly outboxIds: readonly number[] };

/**
 * Judges an answer by a report that accounts for everything it may show.
 *
 * A change touches the answer where they share a tag. Of such a change all tags are invalidated, also those that the
 * answer does not have: its reader has seen the change, whichever answer shows it next. Where the report is
 * truncated, what it does not list may touch the answer, so the answer's own tags are invalidated, too.
 */
export function standingOf(
  { relayedSeq, pending, truncated }: OutboxReport,
  answerTags: readonly string[],
  epoch: string,
  invalidated: InvalidatedChanges,
): Standing {
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
 * The tags by which a change touches an answer. A page of a list shows also what it lacks: a row that leaves the
 * list, or moves within it, shares no tag with the page that lacks it, but names the whole list.
 */
function touchTagsOf(answerTags: readonly string[]): string[] {
  return [...new Set(answerTags.flatMap((tag) => [tag, ...wholeListOf(tag)]))];
}

function idOf({ outboxId }: PendingTags): number {
  return outboxId;
}

export interface AsOfPorts {
  /** Of the mirror by which the answer will be judged; empty where that has never been synced. */
  readonly epoch: string;
  readonly reflection: Reflection;
  readonly invalidated: InvalidatedChanges;
  /** Returns the moment once the root clock has the invalidation on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  readonly withTimeout: Time['withTimeout'];
}

/** As long as a reader waits for a sync (clock/follower.ts): then the answer goes without a token. */
const INVALIDATE_TIMEOUT_MS = 1_500;

/** Loads an answer together with its `asOf`. Throws what `load` throws. */
export async function loadAsOf(load: (db: Database) => Promise<Loaded>, ports: AsOfPorts): Promise<Loaded> {
  const { epoch, reflection, invalidated } = ports;
  const loaded = await load(reflection.db);
  let report = reflection.report();
  // An answer that asked nothing shows no change; one without an epoch is given no token anyway.
  if (report === undefined || epoch === '') return loaded;
  if (report.truncated) report = await reflection.reportOn(touchTagsOf(loaded.tags));
  const standing = standingOf(report, loaded.tags, epoch, invalidated);
  if (standing.kind === 'known') {
    return standing.asOf === undefined ? loaded : { ...loaded, asOf: standing.asOf };
  }
  try {
    const at = await ports.withTimeout(ports.invalidate(standing.tags), INVALIDATE_TIMEOUT_MS, clockIsAway);
    invalidated.note(standing.outboxIds, at);
    return { ...loaded, asOf: at };
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'clock_unavailable') throw error;
    log('warn', 'A pending change could not be invalidated.', { 'event.action': 'help-invalidate' }, error);
    return { ...loaded, storable: false, asOf: null };
  }
}

function clockIsAway(): Failure {
  return new Failure('clock_unavailable', 'The tag clock does not answer.', { retryAfterS: 1 });
}

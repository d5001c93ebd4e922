import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { FeedChange, FeedFilter, isWanted } from '../../src/pipeline/feed/change.ts';
import { type Position, resetReason } from '../../src/pipeline/feed/position.ts';
import { type Reader, Readers } from '../../src/pipeline/feed/readers.ts';
import { type FeedPage, type FeedStatus, WAIT_MS } from '../../src/pipeline/feed/stream.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';
import { OBJECT_REQUESTS_PER_SECOND } from '../../src/platform/limits.ts';
import { FeedStore, KEPT_MS } from './store.ts';

/** The most changes of one call: a consumer's group of messages has 640 KB, and a change 90 bytes or more. */
export const APPEND_CHANGES_MAX = 8_000;
/** The most streams at a time. Each may call up to twice a second. */
export const READERS_MAX = OBJECT_REQUESTS_PER_SECOND / 2;
/** Calls per second that all readers together should make: the pause between two calls grows with their number. */
const CALLS_PER_SECOND_TARGET = 400;
const PAUSE_MS_MIN = 50;

const Changes = z.array(FeedChange).max(APPEND_CHANGES_MAX);
/**
 * How long a stream keeps its place after an answer, in milliseconds: longer than the pause before its next question,
 * which it may ask late on a slow connection.
 */
const LEASE_MS = 2 * WAIT_MS;

const Question = z.object({
  reader: z.object({ id: z.string().min(1).max(64), isNew: z.boolean() }),
  after: z.object({ epoch: z.string(), seq: z.int().nonnegative() }).optional(),
  filter: FeedFilter,
  // A worker of another version may ask for a longer wait.
  waitMs: z
    .number()
    .min(0)
    .transform((ms) => Math.min(ms, WAIT_MS)),
});

/**
 * The log of changes that live feeds read. One object, named `main`: its order is the feed's order, and no change is
 * inserted before a position that was handed out. It does not push; readers poll, and may wait for the next change.
 */
export class ChangeFeed extends DurableObject {
  readonly #store: FeedStore;
  readonly #waiting = new Set<() => void>();
  readonly #readers = new Readers(READERS_MAX, LEASE_MS);

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new FeedStore(ctx.storage, newId);
  }

  /** Resolves once the changes are persisted. A change that the log has already is not appended again. */
  async append(changes: readonly FeedChange[]): Promise<void> {
    this.#store.append(Changes.parse(changes), systemNow());
    for (const wake of this.#waiting) wake();
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(systemNow() + KEPT_MS);
  }

  /**
   * The wanted changes after a position: at once if there are any, else within `waitMs`; null for a new reader if all
   * places are taken.
   */
  async next(question: {
    readonly reader: Reader;
    readonly after: Position | undefined;
    readonly filter: FeedFilter;
    readonly waitMs: number;
  }): Promise<FeedPage | null> {
    const { reader, after, filter, waitMs } = Question.parse(question);
    if (!this.#readers.admit(reader, systemNow(), waitMs)) return null;
    return await this.#next(after, filter, waitMs);
  }

  /** Frees the place of a stream that has ended. */
  async leave(id: string): Promise<void> {
    this.#readers.leave(id);
  }

  async status(): Promise<FeedStatus> {
    return { readers: this.#readers.count(systemNow()) };
  }

  override async alarm(): Promise<void> {
    const { floor, newest } = this.#store.kept();
    const hasMore = this.#store.prune(systemNow());
    if (hasMore) await this.ctx.storage.setAlarm(systemNow());
    else if (newest > floor + 1) await this.ctx.storage.setAlarm(systemNow() + KEPT_MS);
  }

  /**
   * Looks at one page a time, so that a filter that selects little does not read the whole log in one turn: while there
   * is more, the answer has the position after the page, and the reader asks again.
   */
  async #next(after: Position | undefined, filter: FeedFilter, waitMs: number): Promise<FeedPage> {
    const endsAtMs = systemNow() + waitMs;
    const readers = this.#readers.count(systemNow());
    const { epoch, newest } = this.#store.kept();
    let position = after ?? { epoch, seq: newest };
    for (;;) {
      const kept = this.#store.kept();
      const reset = resetReason(position, kept);
      const pauseMs = Math.max(PAUSE_MS_MIN, (readers / CALLS_PER_SECOND_TARGET) * 1_000);
      if (reset !== undefined)
        return { position: { epoch: kept.epoch, seq: kept.newest }, reset, changes: [], pauseMs };
      const page = this.#store.page(position.seq);
      position = { epoch, seq: page.at(-1)?.seq ?? position.seq };
      const changes = page.filter(({ change }) => isWanted(filter, change));
      const leftMs = endsAtMs - systemNow();
      if (changes.length > 0 || position.seq < kept.newest || leftMs <= 0)
        return { position, changes, pauseMs };
      await this.#appended(leftMs);
    }
  }

  /** Resolves after the next append, or after `waitMs`. */
  async #appended(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    this.#waiting.add(resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    }
  }
}

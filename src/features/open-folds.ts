import { tagHash } from '../cache/clock/tag-hash.ts';
import type { ClockMoment } from '../define/view.ts';

/**
 * The folds that a shard shows although nobody has told it that their tags are invalidated. A reader of such a fold
 * invalidates it before it answers (`seen-folds.ts`, docs/coherence.md).
 */

/**
 * The most keys with an open fold in one shard. A key of a fold stays open while the tag clock does not answer, and the
 * consumer repeats its messages then. As JSON they take 1.1 MB of the 2 MB that a value in SQLite may have.
 */
export const OPEN_KEYS_MAX = 100_000;
/**
 * The most open keys with which a shard writes an announcement of its own, in a text of about 11 KB. With more, the keys
 * that an eviction has opened again stay open until the next fold.
 */
const WRITTEN_KEYS_MAX = 1_000;
/** The most epochs whose newest moment a shard remembers. A mirror of an earlier epoch learns that it has ended. */
const EPOCHS_MAX = 4;

/** A part of what a shard has folded, whose tags were invalidated together. */
export interface Announcement {
  readonly keys: readonly string[];
  /** The number of the shard's fold that covers them all. */
  readonly fold: number;
  /** Whether the tag of all answers that depend on a feature becoming ready was invalidated, too. */
  readonly ready: boolean;
}

/** An announcement with the moment of the invalidation. */
export interface Told {
  readonly announcement: Announcement;
  readonly at: ClockMoment;
}

/** That the tag of features which have become ready is invalidated. */
export const READY: Announcement = { keys: [], fold: 0, ready: true };

/** What a reader has to know of the folds behind the rows that it got. */
export interface FoldsShown {
  /** The keys of the read with an open fold. */
  readonly open: readonly string[];
  /** Whether features have become ready, and nobody has said that the tag of that is invalidated. */
  readonly ready: boolean;
  /** The shard's newest fold. */
  readonly fold: number;
  /** The newest known invalidation of each epoch of the tag clock: all folds that are not open are at or before it. */
  readonly at: readonly ClockMoment[];
}

/** The open folds of one shard, in memory, with a text that the shard writes together with each fold. */
export class OpenFolds {
  /** The newest fold of each open key, by the hash of the key: two keys with one hash are open together. */
  readonly #foldOf = new Map<number, number>();
  readonly #at = new Map<string, number>();
  /** The open keys that were read from the text: those of folds before the object's last eviction. */
  readonly #reopened = new Set<number>();
  #fold = 0;
  #ready = false;

  /**
   * The open folds as of the last fold that was written. What was announced since is open again, which costs one
   * invalidation for each of these keys that is read.
   *
   * @param text as `toText` made it; null for a shard that has not folded since it writes one.
   */
  static read(text: string | null): OpenFolds {
    const folds = new OpenFolds();
    if (text === null) return folds;
    const { fold, ready, at, keys } = JSON.parse(text) as Written;
    folds.#fold = fold;
    folds.#ready = ready;
    for (const hash of keys) {
      folds.#foldOf.set(hash, fold);
      folds.#reopened.add(hash);
    }
    for (const [epoch, seq] of at) folds.#at.set(epoch, seq);
    return folds;
  }

  get fold(): number {
    return this.#fold;
  }

  /**
   * Opens a fold that changes these keys.
   *
   * @throws Error with `retryable` for more keys than may be open: the tag clock has not answered for long.
   */
  open(keys: Iterable<string>): void {
    this.#fold += 1;
    for (const key of keys) this.#foldOf.set(tagHash(key), this.#fold);
    if (this.#foldOf.size > OPEN_KEYS_MAX)
      throw Object.assign(
        new Error(`Folds of more than ${OPEN_KEYS_MAX} keys wait for their invalidation.`),
        { retryable: true },
      );
  }

  /** Features have become ready. */
  openReady(): this {
    this.#ready = true;
    return this;
  }

  /**
   * Notes that what was folded was invalidated at the moment `at` or before.
   *
   * @returns whether the text has to be written now: no fold may follow for long, and each eviction would open again what
   *   this announcement has closed, so that readers would invalidate it after each. The keys of a fold of this life of the
   *   object are not written: they cost that once at most.
   */
  announce({ keys, fold, ready }: Announcement, { epoch, seq }: ClockMoment): boolean {
    let isWritten = ready && this.#ready;
    for (const key of keys) {
      const hash = tagHash(key);
      // A later fold of the key has an invalidation of its own.
      if ((this.#foldOf.get(hash) ?? Number.POSITIVE_INFINITY) > fold) continue;
      this.#foldOf.delete(hash);
      if (this.#reopened.delete(hash)) isWritten ||= this.#foldOf.size <= WRITTEN_KEYS_MAX;
    }
    if (ready) this.#ready = false;
    const known = this.#at.get(epoch) ?? 0;
    this.#at.set(epoch, Math.max(known, seq));
    for (const oldest of this.#at.keys()) {
      if (this.#at.size <= EPOCHS_MAX) break;
      this.#at.delete(oldest);
    }
    return isWritten;
  }

  has(key: string): boolean {
    return this.#foldOf.has(tagHash(key));
  }

  /** What a reader of these keys has to know. */
  shown(keys: readonly string[]): FoldsShown {
    const open = this.#foldOf.size === 0 ? [] : keys.filter((key) => this.has(key));
    const at = [...this.#at].map(([epoch, seq]) => ({ epoch, seq }));
    return { open, ready: this.#ready, fold: this.#fold, at };
  }

  toText(): string {
    const written: Written = {
      fold: this.#fold,
      ready: this.#ready,
      at: [...this.#at],
      keys: [...this.#foldOf.keys()],
    };
    return JSON.stringify(written);
  }
}

interface Written {
  readonly fold: number;
  readonly ready: boolean;
  readonly at: readonly (readonly [epoch: string, seq: number])[];
  readonly keys: readonly number[];
}

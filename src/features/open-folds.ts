import { tagHash } from '../cache/clock/tag-hash.ts';
import type { ClockMoment } from '../define/view.ts';
import { partOf } from './groups.ts';

/**
 * The folds that a shard shows although nobody has told it that their tags are invalidated. A reader of such a fold
 * invalidates it before it answers (`seen-folds.ts`, docs/coherence.md).
 */

/**
 * The most parts of keys with an open fold in one shard. A part stays open while the tag clock does not answer, and the
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
  /** Parts of keys (`partOf`), or whole keys. */
  readonly keys: readonly string[];
  /** The number of the shard's fold that covers them all. */
  readonly fold: number;
  /** Whether the tags of features that became ready were invalidated, too. */
  readonly ready: boolean;
  /** Which features; all of the entity without it. */
  readonly readyFeatures?: readonly string[];
}

/** An announcement with the moment of the invalidation. */
export interface Told {
  readonly announcement: Announcement;
  readonly at: ClockMoment;
}

/** That the tags of all features which have become ready are invalidated. */
export const READY: Announcement = { keys: [], fold: 0, ready: true };

/** What a reader has to know of the folds behind the rows that it got. */
export interface FoldsShown {
  /** The parts of the read's keys with an open fold, and the keys of which all may have changed. */
  readonly open: readonly string[];
  /** Whether features have become ready, and nobody has said that the tags of that are invalidated. */
  readonly ready: boolean;
  /** Which features. */
  readonly readyFeatures?: readonly string[];
  /** The shard's newest fold. */
  readonly fold: number;
  /** The newest known invalidation of each epoch of the tag clock: all folds that are not open are at or before it. */
  readonly at: readonly ClockMoment[];
}

/** The open folds of one shard, in memory, with a text that the shard writes together with each fold. */
export class OpenFolds {
  /** The newest fold of each open part or key, by the hash of its text: two with one hash are open together. */
  readonly #foldOf = new Map<number, number>();
  readonly #at = new Map<string, number>();
  /** What is open and was read from the text: parts and keys of folds before the object's last eviction. */
  readonly #reopened = new Set<number>();
  #fold = 0;
  readonly #ready = new Set<string>();

  /**
   * The open folds as of the last fold that was written. What was announced since is open again, which costs one
   * invalidation for each of these keys that is read.
   *
   * @param text as `toText` made it; null for a shard that has not folded since it writes one. One of the release before
   *   has whole keys, and does not say which features have become ready.
   * @param features all features of the shard.
   */
  static read(text: string | null, features: readonly string[] = []): OpenFolds {
    const folds = new OpenFolds();
    if (text === null) return folds;
    const { fold, ready, readyFeatures = ready ? features : [], at, keys } = JSON.parse(text) as Written;
    folds.#fold = fold;
    folds.openReady(readyFeatures);
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
   * Opens a fold that changes these parts of keys, or whole keys.
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

  /** These features have become ready. */
  openReady(features: Iterable<string>): this {
    for (const feature of features) this.#ready.add(feature);
    return this;
  }

  /**
   * Notes that what was folded was invalidated at the moment `at` or before.
   *
   * @returns whether the text has to be written now: no fold may follow for long, and each eviction would open again what
   *   this announcement has closed, so that readers would invalidate it after each. The keys of a fold of this life of the
   *   object are not written: they cost that once at most.
   */
  announce(
    { keys, fold, ready, readyFeatures = [...this.#ready] }: Announcement,
    { epoch, seq }: ClockMoment,
  ): boolean {
    let isWritten = false;
    if (ready) for (const feature of readyFeatures) if (this.#ready.delete(feature)) isWritten = true;
    for (const key of keys) {
      const hash = tagHash(key);
      // A later fold of the key has an invalidation of its own.
      if ((this.#foldOf.get(hash) ?? Number.POSITIVE_INFINITY) > fold) continue;
      this.#foldOf.delete(hash);
      if (this.#reopened.delete(hash)) isWritten ||= this.#foldOf.size <= WRITTEN_KEYS_MAX;
    }
    const known = this.#at.get(epoch) ?? 0;
    this.#at.set(epoch, Math.max(known, seq));
    for (const oldest of this.#at.keys()) {
      if (this.#at.size <= EPOCHS_MAX) break;
      this.#at.delete(oldest);
    }
    return isWritten;
  }

  has(keyOrPart: string): boolean {
    return this.#foldOf.has(tagHash(keyOrPart));
  }

  /** What a reader of these keys has to know, with all groups of features that the shard folds. */
  shown(keys: readonly string[], groups: readonly string[]): FoldsShown {
    const partsOf = (key: string) => [key, ...groups.map((group) => partOf(group, key))];
    const open = this.#foldOf.size === 0 ? [] : keys.flatMap(partsOf).filter((one) => this.has(one));
    const at = [...this.#at].map(([epoch, seq]) => ({ epoch, seq }));
    return { open, ...this.#readyNow, fold: this.#fold, at };
  }

  get #readyNow(): Pick<Announcement, 'ready' | 'readyFeatures'> {
    return this.#ready.size === 0 ? { ready: false } : { ready: true, readyFeatures: [...this.#ready] };
  }

  toText(): string {
    const written: Written = {
      fold: this.#fold,
      ...this.#readyNow,
      at: [...this.#at],
      keys: [...this.#foldOf.keys()],
    };
    return JSON.stringify(written);
  }
}

interface Written {
  readonly fold: number;
  readonly ready: boolean;
  readonly readyFeatures?: readonly string[];
  readonly at: readonly (readonly [epoch: string, seq: number])[];
  readonly keys: readonly number[];
}

/** Marks in one horizon; what is forgotten at once is at most this part of it. */
const MARKS = 16;

interface Mark {
  readonly seq: number;
  readonly atMs: number;
}

/**
 * Says which invalidations are older than the longest life of an entry. A clock need not remember them: no entry that is
 * still served fresh was stamped before them. Times are those of the root alone.
 */
export class Horizon {
  readonly #lengthMs: number;
  readonly #marks: Mark[] = [];

  /** @param lengthMs how long changes are remembered, in milliseconds. */
  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  /** Records when an invalidation was made. Invalidations come in the order of their numbers. */
  note(seq: number, atMs: number): void {
    const newest = this.#marks.at(-1);
    if (newest !== undefined && atMs - newest.atMs < this.#lengthMs / MARKS) return;
    this.#marks.push({ seq, atMs });
  }

  /** The greatest number that may be forgotten; undefined if there is none. */
  passed(nowMs: number): number | undefined {
    let passed: number | undefined;
    for (let oldest = this.#marks[0]; oldest !== undefined; oldest = this.#marks[0]) {
      if (nowMs - oldest.atMs <= this.#lengthMs) break;
      passed = oldest.seq;
      this.#marks.shift();
    }
    return passed;
  }
}

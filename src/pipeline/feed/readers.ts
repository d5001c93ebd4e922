/** A stream's place among the readers of the feed. */
export interface Reader {
  /** Made for each stream. */
  readonly id: string;
  /** Whether this is the stream's first question: only then is it refused where all places are taken. */
  readonly isNew: boolean;
}

/**
 * The streams that read the feed. A stream keeps its place between two questions, so a newcomer never takes the place
 * of a stream that has begun. A stream that stops asking loses its place after a while.
 */
export class Readers {
  readonly #max: number;
  readonly #leaseMs: number;
  /** When the place of each stream becomes free, milliseconds since the Unix epoch. */
  readonly #until = new Map<string, number>();

  /** @param leaseMs how long a stream keeps its place after the answer to its last question. */
  constructor(max: number, leaseMs: number) {
    this.#max = max;
    this.#leaseMs = leaseMs;
  }

  /**
   * Takes or renews a place.
   *
   * @param waitMs how long the answer may take.
   * @returns false if the stream is new and there is no free place.
   */
  admit({ id, isNew }: Reader, nowMs: number, waitMs: number): boolean {
    if (isNew && !this.#until.has(id) && this.count(nowMs) >= this.#max) return false;
    this.#until.set(id, nowMs + waitMs + this.#leaseMs);
    return true;
  }

  leave(id: string): void {
    this.#until.delete(id);
  }

  count(nowMs: number): number {
    for (const [id, until] of this.#until) if (until <= nowMs) this.#until.delete(id);
    return this.#until.size;
  }
}

import type { Cell, FoldableEvent } from './fold.ts';

/** The most keys of a shard whose newest trace is remembered. Each is some 200 bytes, and an eviction forgets all. */
const KEYS_MAX = 256;
/** The most traces that a read continues. */
const READ_TRACES_MAX = 8;

/** The newest recorded trace that has changed each key of a shard, so that a read of the key can name it. */
export class KeyTraces {
  /** Oldest first. */
  readonly #traces = new Map<string, string>();

  /** Notes the events whose traces are recorded, with the cells that each has changed. */
  note(cells: ReadonlyMap<FoldableEvent, readonly Pick<Cell, 'key'>[]>): void {
    for (const [{ trace }, changed] of cells) {
      if (trace === undefined) continue;
      for (const { key } of changed) {
        this.#traces.delete(key);
        this.#traces.set(key, trace);
      }
    }
    for (const oldest of this.#traces.keys()) {
      if (this.#traces.size <= KEYS_MAX) break;
      this.#traces.delete(oldest);
    }
  }

  /** The traces of some keys, each once. */
  of(keys: readonly string[]): string[] {
    if (this.#traces.size === 0) return [];
    const found = new Set(keys.flatMap((key) => this.#traces.get(key) ?? []));
    return [...found].slice(0, READ_TRACES_MAX);
  }
}

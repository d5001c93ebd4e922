import { systemNow } from '../src/platform/clock.ts';
import { log } from '../src/platform/logger.ts';

/** How often an object saves its memory, in milliseconds: 260,000 saves a month of an object under load. */
export const SAVE_EVERY_MS = 10_000;

/**
 * Saves an object's memory to its disk at most once in a period, because the platform charges for rows written. The first
 * change after a quiet period is saved at once. What changed since the last save is lost if the object is evicted, so
 * only state that no caller is promised may be saved like this.
 */
export class PacedSave {
  readonly #everyMs: number;
  readonly #save: () => void;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param save writes all that changed, or throws and is repeated with the next change. */
  constructor(everyMs: number, save: () => void) {
    this.#everyMs = everyMs;
    this.#save = save;
  }

  /** Saves now if the last save is long enough ago, else when it is. */
  soon(): void {
    if (this.#timer !== undefined) return;
    const waitMs = this.#savedAtMs + this.#everyMs - systemNow();
    if (waitMs <= 0) this.now();
    else this.#timer = setTimeout(() => this.now(), waitMs);
  }

  now(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#savedAtMs = systemNow();
    try {
      this.#save();
    } catch (error) {
      const message = 'The state of an object was not saved; the next save writes it.';
      log('error', message, { 'event.action': 'paced-save' }, error);
    }
  }
}

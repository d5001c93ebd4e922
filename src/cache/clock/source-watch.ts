import type { Time } from '../../platform/clock.ts';
import { log } from '../../platform/logger.ts';
import {
  closePass,
  newWatermarks,
  oldestSourceAgeMs,
  openPass,
  type SourceAges,
  type SourcePass,
  sourceAges,
} from './sources.ts';

/** How long a sync waits for a source that lags, in milliseconds: a pass over an idle outbox takes a few. */
const HEARTBEAT_WAIT_MS = 200;
/** The shortest pause between two heartbeats, in milliseconds: a source that is down is not asked by every sync. */
const HEARTBEAT_PAUSE_MS = 1_000;

/**
 * The root's watch over its sources. Whoever asks for fresher watermarks than there are sets off a heartbeat: so
 * a database that nobody reads through the cache may sleep.
 */
export class SourceWatch {
  readonly #time: Time;
  readonly #watermarks;
  readonly #heartbeat: () => Promise<void>;
  #beat: { readonly atMs: number; readonly done: Promise<void>; over: boolean } | undefined;

  /** @param heartbeat has the sources read again; passes are opened and closed meanwhile. */
  constructor(incarnation: string, time: Time, heartbeat: () => Promise<void>) {
    this.#watermarks = newWatermarks(incarnation);
    this.#time = time;
    this.#heartbeat = heartbeat;
  }

  open(source: string): SourcePass {
    return openPass(this.#watermarks, source, this.#time.now());
  }

  close(pass: SourcePass): void {
    closePass(this.#watermarks, pass);
  }

  ages(): SourceAges {
    return sourceAges(this.#watermarks.completeUntilMs, this.#time.now());
  }

  /** Sets off a heartbeat half-way to the age asked for, and waits a moment for it where that is passed. */
  async freshen(maxAgeMs: number, keepAlive: (promise: Promise<unknown>) => void): Promise<void> {
    const ageMs = oldestSourceAgeMs(this.#watermarks.completeUntilMs, this.#time.now());
    if (ageMs <= maxAgeMs / 2) return;
    const beat = this.#beatNow(keepAlive);
    if (ageMs <= maxAgeMs || beat.over) return;
    await this.#time
      .withTimeout(beat.done, HEARTBEAT_WAIT_MS, () => new Error('The source takes its time.'))
      .catch(() => undefined);
  }

  #beatNow(keepAlive: (promise: Promise<unknown>) => void) {
    const nowMs = this.#time.now();
    if (this.#beat !== undefined && nowMs - this.#beat.atMs < HEARTBEAT_PAUSE_MS) return this.#beat;
    const done = this.#heartbeat()
      .catch((error: unknown) =>
        log('warn', 'A source could not be looked after.', { 'event.action': 'heartbeat' }, error),
      )
      .finally(() => {
        beat.over = true;
      });
    const beat = { atMs: nowMs, done, over: false };
    this.#beat = beat;
    keepAlive(done);
    return beat;
  }
}

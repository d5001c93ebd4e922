import type { Time } from '../../platform/clock.ts';
import { log } from '../../platform/logger.ts';
import { oldestSourceAgeMs } from './mirror.ts';
import { READERS_GONE_MS } from './push-list.ts';
import {
  closePass,
  newWatermarks,
  openPass,
  type SourceAges,
  type SourcePass,
  sourceAges,
} from './sources.ts';

/** How long a sync waits for a lagging source, in milliseconds. A pass over an idle outbox takes a few. */
const HEARTBEAT_WAIT_MS = 200;
/** Shortest pause between two heartbeats that readers cause, in milliseconds, so that not every sync queries a source that is down. */
const HEARTBEAT_PAUSE_MS = 1_000;
/** The watch stops waiting for a heartbeat after this, in milliseconds. A query ends within 10 s; a pass has a few. */
const HEARTBEAT_TIMEOUT_MS = 60_000;
/** Longest pause of the watch while its source is down, in milliseconds. */
const WATCH_PAUSE_MS_MAX = 10_000;

/** Regular heartbeats while there are readers. */
export interface Watch {
  /** From the start of one heartbeat to the start of the next, in milliseconds. */
  readonly everyMs: number;
  readonly sleep: (ms: number) => Promise<void>;
}

interface Beat {
  readonly atMs: number;
  /** True if the heartbeat succeeded; never rejects. */
  readonly done: Promise<boolean>;
  over: boolean;
}

/**
 * Keeps the root's watermarks fresh. A reader that needs fresher watermarks starts a heartbeat. With a `Watch`,
 * heartbeats also run regularly from the first reader's sync until no reader has synced for a minute. So a database
 * without readers through the cache may sleep.
 */
export class SourceWatch {
  readonly #time: Time;
  readonly #watermarks;
  readonly #heartbeat: () => Promise<void>;
  readonly #watch: Watch | undefined;
  #beat: Beat | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #isWatching = false;

  /** @param heartbeat starts a pass over every source and resolves after it; it opens and closes passes meanwhile. */
  constructor(incarnation: string, time: Time, heartbeat: () => Promise<void>, watch?: Watch) {
    this.#watermarks = newWatermarks(incarnation);
    this.#time = time;
    this.#heartbeat = heartbeat;
    this.#watch = watch;
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

  /**
   * Starts a heartbeat once a watermark is older than half of `maxAgeMs`, and waits for it shortly if it is older
   * than `maxAgeMs`. The reader that starts the watch waits in any case, because no heartbeat ran before it.
   */
  async refreshOlderThan(maxAgeMs: number, keepAlive: (promise: Promise<unknown>) => void): Promise<void> {
    const nowMs = this.#time.now();
    this.#askedAtMs = nowMs;
    const begins = this.#watch !== undefined && !this.#isWatching;
    if (begins) {
      this.#isWatching = true;
      keepAlive(this.#keepWatch(this.#watch, keepAlive));
    }
    const ageMs = oldestSourceAgeMs(this.#watermarks.completeUntilMs, nowMs);
    if (ageMs <= maxAgeMs / 2 && !begins) return;
    const beat = this.#beatNow(keepAlive);
    if ((ageMs <= maxAgeMs && !begins) || beat.over) return;
    await this.#time
      .withTimeout(
        beat.done,
        HEARTBEAT_WAIT_MS,
        () => new Error(`The heartbeat took longer than ${HEARTBEAT_WAIT_MS} ms.`),
      )
      .catch(() => undefined);
  }

  async #keepWatch({ everyMs, sleep }: Watch, keepAlive: (promise: Promise<unknown>) => void): Promise<void> {
    let pauseMs = everyMs;
    try {
      while (this.#time.now() - this.#askedAtMs <= READERS_GONE_MS) {
        const beat = this.#begin(keepAlive);
        const succeeded = await this.#time
          .withTimeout(
            beat.done,
            HEARTBEAT_TIMEOUT_MS,
            () => new Error(`The heartbeat took longer than ${HEARTBEAT_TIMEOUT_MS} ms.`),
          )
          .catch(() => false);
        pauseMs = succeeded ? everyMs : Math.max(everyMs, Math.min(WATCH_PAUSE_MS_MAX, pauseMs * 2));
        await sleep(Math.max(0, beat.atMs + pauseMs - this.#time.now()));
      }
    } finally {
      this.#isWatching = false;
    }
  }

  #beatNow(keepAlive: (promise: Promise<unknown>) => void): Beat {
    const isRecent = this.#beat !== undefined && this.#time.now() - this.#beat.atMs < HEARTBEAT_PAUSE_MS;
    return this.#beat !== undefined && isRecent ? this.#beat : this.#begin(keepAlive);
  }

  #begin(keepAlive: (promise: Promise<unknown>) => void): Beat {
    const done = this.#heartbeat()
      .then(() => true)
      .catch((error: unknown) => {
        log(
          'warn',
          'A heartbeat failed, so the watermarks of the sources stay where they are.',
          { 'event.action': 'heartbeat' },
          error,
        );
        return false;
      })
      .finally(() => {
        beat.over = true;
      });
    const beat: Beat = { atMs: this.#time.now(), done, over: false };
    this.#beat = beat;
    keepAlive(done);
    return beat;
  }
}

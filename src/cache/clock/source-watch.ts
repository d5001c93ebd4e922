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

/** How long a sync waits for a source that lags, in milliseconds: a pass over an idle outbox takes a few. */
const HEARTBEAT_WAIT_MS = 200;
/** The shortest pause between two heartbeats of readers, in milliseconds: a source that is down is not asked by every sync. */
const HEARTBEAT_PAUSE_MS = 1_000;
/** The watch goes on without a heartbeat that takes longer, in milliseconds: a query ends within 10 s, a pass has a few. */
const HEARTBEAT_TIMEOUT_MS = 60_000;
/** The longest pause of a watch whose source is down, in milliseconds. */
const WATCH_PAUSE_MS_MAX = 10_000;

/** Looking after the sources regularly while somebody reads. */
export interface Watch {
  /** From the beginning of one heartbeat to that of the next, in milliseconds. */
  readonly everyMs: number;
  readonly sleep: (ms: number) => Promise<void>;
}

interface Beat {
  readonly atMs: number;
  /** Whether it succeeded; never rejects. */
  readonly done: Promise<boolean>;
  over: boolean;
}

/**
 * The root's watch over its sources. Whoever asks for fresher watermarks than there are sets off a heartbeat, and
 * with a `Watch` there is one regularly from the first reader's sync until readers have been gone for a minute: so
 * a database that nobody reads through the cache may sleep.
 */
export class SourceWatch {
  readonly #time: Time;
  readonly #watermarks;
  readonly #heartbeat: () => Promise<void>;
  readonly #watch: Watch | undefined;
  #beat: Beat | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #isWatching = false;

  /** @param heartbeat has the sources read again; passes are opened and closed meanwhile. */
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
   * Sets off a heartbeat half-way to the age asked for, and waits a moment for it where that is passed. The reader
   * with whom the watch begins waits in any case: nobody has looked after the sources for a while.
   */
  async freshen(maxAgeMs: number, keepAlive: (promise: Promise<unknown>) => void): Promise<void> {
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
      .withTimeout(beat.done, HEARTBEAT_WAIT_MS, () => new Error('The source takes its time.'))
      .catch(() => undefined);
  }

  async #keepWatch({ everyMs, sleep }: Watch, keepAlive: (promise: Promise<unknown>) => void): Promise<void> {
    let pauseMs = everyMs;
    try {
      while (this.#time.now() - this.#askedAtMs <= READERS_GONE_MS) {
        const beat = this.#begin(keepAlive);
        const succeeded = await this.#time
          .withTimeout(beat.done, HEARTBEAT_TIMEOUT_MS, () => new Error('The source does not answer.'))
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
        log('warn', 'A source could not be looked after.', { 'event.action': 'heartbeat' }, error);
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

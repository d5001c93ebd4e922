import type { Now } from '../clock.ts';
import type { FinishedSpan } from './trace.ts';

/** The most spans that wait for their export, as in OpenTelemetry's batch processor; some 1 MB. */
export const WAITING_SPANS_MAX = 2_048;
/** The most spans of one export. */
export const EXPORT_SPANS_MAX = 512;
/** How long spans gather before they are exported, in milliseconds. */
const GATHER_MS = 1_000;
/** How long nothing is exported after a failure, in milliseconds; twice as long after each further one. */
const PAUSE_MS = 5_000;
const PAUSE_MS_MAX = 60_000;
/** A flush that takes longer than its deadlines by this has ended with its request, in milliseconds. */
const LOST_AFTER_MS = 2_000;
/** The most exports of one flush, so that it ends before the platform ends what a request has left behind. */
const FLUSH_EXPORTS_MAX = 4;

/** What became of an export. `unavailable` may succeed later; of `refused` spans the receiver takes none. */
export interface Exported {
  readonly outcome: 'taken' | 'unavailable' | 'refused';
  /** The spans of a taken export that the receiver has refused. */
  readonly refused?: number;
}

/** What became of a span: the values of the label `outcome`. */
export type SpanOutcome = 'exported' | 'refused' | 'dropped';

export interface SpanQueuePorts {
  readonly now: Now;
  readonly sleep: (ms: number) => Promise<void>;
  /** Sends spans within `deadlineMs`. It never rejects. */
  readonly send: (spans: readonly FinishedSpan[]) => Promise<Exported>;
  /** The deadline of `send`, in milliseconds. */
  readonly deadlineMs: number;
  readonly counted: (outcome: SpanOutcome, spans: number) => void;
}

/**
 * The spans of an isolate on their way to the receiver. Nothing waits for an export: it runs behind an answer. At most one
 * runs at a time, and while the receiver hangs or fails, spans wait in bounded memory, then are dropped and counted. The
 * queue holds values only, so a request that ends cannot block another one.
 */
export class SpanQueue {
  readonly #ports: SpanQueuePorts;
  #waiting: FinishedSpan[] = [];
  /** Until then a flush of some request is under way. */
  #busyUntilMs = Number.NEGATIVE_INFINITY;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #pauseMs = PAUSE_MS;

  constructor(ports: SpanQueuePorts) {
    this.#ports = ports;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Adds spans. @param keepAlive keeps the flush running behind the caller's answer. */
  add(spans: readonly FinishedSpan[], keepAlive: (work: Promise<unknown>) => void): void {
    const room = WAITING_SPANS_MAX - this.#waiting.length;
    if (spans.length > room) this.#ports.counted('dropped', spans.length - Math.max(0, room));
    if (room > 0) this.#waiting.push(...spans.slice(0, room));
    const nowMs = this.#ports.now();
    if (nowMs < this.#busyUntilMs || nowMs < this.#pausedUntilMs) return;
    this.#busyUntilMs = nowMs + GATHER_MS + FLUSH_EXPORTS_MAX * this.#ports.deadlineMs + LOST_AFTER_MS;
    keepAlive(this.#flush());
  }

  async #flush(): Promise<void> {
    const { now, sleep, send, counted } = this.#ports;
    await sleep(GATHER_MS);
    for (let exports = 0; exports < FLUSH_EXPORTS_MAX && this.#waiting.length > 0; exports += 1) {
      const spans = this.#waiting.splice(0, EXPORT_SPANS_MAX);
      const { outcome, refused = 0 } = await send(spans);
      if (outcome === 'unavailable') {
        const room = WAITING_SPANS_MAX - this.#waiting.length;
        if (spans.length > room) counted('dropped', spans.length - Math.max(0, room));
        this.#waiting.unshift(...spans.slice(0, Math.max(0, room)));
        this.#pausedUntilMs = now() + this.#pauseMs;
        this.#pauseMs = Math.min(PAUSE_MS_MAX, this.#pauseMs * 2);
        break;
      }
      const lost = outcome === 'refused' ? spans.length : Math.min(refused, spans.length);
      if (lost > 0) counted('refused', lost);
      if (lost < spans.length) counted('exported', spans.length - lost);
      this.#pauseMs = PAUSE_MS;
    }
    this.#busyUntilMs = Number.NEGATIVE_INFINITY;
  }
}

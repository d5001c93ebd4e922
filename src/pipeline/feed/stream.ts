import { SUBREQUESTS_MAX } from '../../platform/limits.ts';
import type { FeedChange } from './change.ts';
import { formatPosition, type Position, type ResetReason } from './position.ts';

/** An answer of the log to a reader. */
export interface FeedPage {
  /** The reader's position after this page, even if the page has no selected change. */
  readonly position: Position;
  /** Set if the log cannot continue after the reader's position. `position` is the newest one then. */
  readonly reset?: ResetReason;
  readonly changes: readonly { readonly seq: number; readonly change: FeedChange }[];
  /** How long to wait before the next request, in milliseconds, so that all readers stay within the log's load. */
  readonly pauseMs: number;
}

/** The log, as operators see it. */
export interface FeedStatus {
  /** Streams that wait for an answer. */
  readonly readers: number;
}

export interface StreamPorts {
  /** Returns at once if there is a change, else after at most `waitMs`. */
  readonly next: (after: Position, waitMs: number) => Promise<FeedPage>;
  /** Called when the stream has ended, for any reason. */
  readonly leave: () => void;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
}

/** How soon a client reconnects after the end of a stream, in milliseconds. */
export const RETRY_MS = 1_000;
/**
 * How long the log may wait before it answers, in milliseconds. Each answer sends a line, which keeps the connection
 * open. A disconnected client is noticed only when a line cannot be sent, and the first line after it left can still be
 * sent. So its place is free after at most three of these periods.
 */
export const WAIT_MS = 5_000;
/** A stream ends after this long, in milliseconds, and its client reconnects with its position. */
export const LIFE_MS = 10 * 60_000;
/** The most requests of one stream to the log. Each is a subrequest; a fifth is left for the rest of the request. */
export const QUESTIONS_MAX = (SUBREQUESTS_MAX * 4) / 5;

/**
 * The feed as text of server-sent events (HTML Living Standard §9.2), beginning with `first`. Each piece is made when the
 * reader takes it, so a slow reader uses no memory. A reader that falls behind the kept part of the log gets `reset`.
 *
 * @throws the error of `next`, which ends the stream.
 */
export async function* streamFeed(first: FeedPage, ports: StreamPorts): AsyncGenerator<string> {
  try {
    yield* pagesOf(first, ports);
  } finally {
    ports.leave();
  }
}

async function* pagesOf(first: FeedPage, ports: StreamPorts): AsyncGenerator<string> {
  const endsAtMs = ports.now() + LIFE_MS;
  yield `retry: ${RETRY_MS}\n${eventsOf(first)}`;
  let page = first;
  for (let asked = 1; asked < QUESTIONS_MAX && ports.now() < endsAtMs; asked += 1) {
    await ports.sleep(page.pauseMs);
    page = await ports.next(page.position, WAIT_MS);
    yield eventsOf(page);
  }
}

/** The last line has only the position: it advances the client's `Last-Event-ID`, and keeps the connection open. */
function eventsOf({ position, reset, changes }: FeedPage): string {
  const told = changes.map(({ seq, change }) =>
    sse({ id: formatPosition({ epoch: position.epoch, seq }), event: 'change', data: change }),
  );
  const id = formatPosition(position);
  if (reset !== undefined) told.push(sse({ id, event: 'reset', data: { reason: reset } }));
  return `${told.join('')}id: ${id}\n\n`;
}

function sse({ id, event, data }: { id: string; event: string; data: unknown }): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

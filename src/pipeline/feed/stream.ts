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
  /** A random number from 0 (inclusive) to 1. */
  readonly random: () => number;
}

/**
 * How soon a client reconnects after the end of a stream, in milliseconds: each stream gets a delay of its own between
 * the two. A deploy or an eviction ends all streams at once; 500 readers then come back at about 50 a second.
 */
export const RETRY_MS_MIN = 1_000;
export const RETRY_MS_MAX = 11_000;
/**
 * The most characters of one piece, unless a single change has more: about what a connection buffers. A slow reader holds
 * one piece and the page that it belongs to.
 */
export const PIECE_CHARACTERS_MAX = 64 * 1024;
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
 * reader takes it, so a slow reader holds one page and asks for no other. A reader that falls behind the kept part of the log gets `reset`.
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
  const retryMs = Math.floor(RETRY_MS_MIN + ports.random() * (RETRY_MS_MAX - RETRY_MS_MIN));
  yield* piecesOf(first, `retry: ${retryMs}\n`);
  let page = first;
  for (let asked = 1; asked < QUESTIONS_MAX && ports.now() < endsAtMs; asked += 1) {
    await ports.sleep(page.pauseMs);
    page = await ports.next(page.position, WAIT_MS);
    yield* piecesOf(page);
  }
}

/**
 * The page as text, cut after events. The last line has only the position: it advances the client's `Last-Event-ID`, and
 * keeps the connection open.
 */
function* piecesOf({ position, reset, changes }: FeedPage, before = ''): Generator<string> {
  let piece = before;
  for (const { seq, change } of changes) {
    const event = sse({
      id: formatPosition({ epoch: position.epoch, seq }),
      event: 'change',
      data: change,
    });
    if (piece !== '' && piece.length + event.length > PIECE_CHARACTERS_MAX) {
      yield piece;
      piece = '';
    }
    piece += event;
  }
  const id = formatPosition(position);
  if (reset !== undefined) piece += sse({ id, event: 'reset', data: { reason: reset } });
  yield `${piece}id: ${id}\n\n`;
}

function sse({ id, event, data }: { id: string; event: string; data: unknown }): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

import { SUBREQUESTS_MAX } from '../../platform/limits.ts';
import type { FeedChange } from './change.ts';
import { formatPosition, type Position, type ResetReason } from './position.ts';

/** What the log answers to a reader. */
export interface FeedPage {
  /** Where the reader is now, also where nothing that it wants was there. */
  readonly position: Position;
  /** Set where the reader's position cannot be gone on from: `position` is the newest then. */
  readonly reset?: ResetReason;
  readonly changes: readonly { readonly seq: number; readonly change: FeedChange }[];
  /** How long to wait before the next question, in milliseconds: the log's share of what it can bear. */
  readonly pauseMs: number;
}

/** The log, as operators see it. */
export interface FeedStatus {
  /** Streams that wait for an answer. */
  readonly readers: number;
}

export interface StreamPorts {
  /** Returns at once where something is there, else after `waitMs` at most. */
  readonly next: (after: Position, waitMs: number) => Promise<FeedPage>;
  /** Called once the stream has ended, for whichever reason. */
  readonly leave: () => void;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
}

/** How soon a client comes back after the end of a stream, in milliseconds. */
export const RETRY_MS = 1_000;
/**
 * How long the log may wait with an answer: after it a line is sent that keeps the connection open. That a client has
 * gone is seen only when a line cannot be sent, and the first after its leaving still can be: so its place is free
 * after three of these at most.
 */
export const WAIT_MS = 5_000;
/** A stream ends after this long, and its client comes back with its position. */
export const LIFE_MS = 10 * 60_000;
/** Questions of one stream: each is a subrequest, and a fifth of them is left for the rest of the request. */
export const QUESTIONS_MAX = (SUBREQUESTS_MAX * 4) / 5;

/**
 * The feed as text of server-sent events (HTML Living Standard §9.2), from after `first` on. Pieces are made as they
 * are taken, so a slow reader holds nothing but its place; one that falls behind what the log keeps is told `reset`.
 *
 * @throws whatever `next` ends with, which ends the stream.
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

/** The last line has the position and no data: it moves the client's `Last-Event-ID`, and keeps the connection open. */
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

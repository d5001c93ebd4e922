/** The live feed, read by `fetch`: an `EventSource` cannot send the key in a header. */
import { memberOf } from './answers.ts';
import { authorization, WITHOUT_CACHES } from './http.ts';
import { readEvents } from './server-events.ts';

/** A change as the feed sends it: `FeedChange` of the pipeline. */
export interface Change {
  readonly change: number;
  readonly type: string;
  readonly time: string | undefined;
  readonly entities: readonly string[];
}

/** The changes of one type from now on, until it is closed. */
export interface Feed {
  /** The first change that fits, also of those that have arrived; undefined after `timeoutMs` or at the feed's end. */
  readonly find: (fits: (change: Change) => boolean, timeoutMs: number) => Promise<Change | undefined>;
  readonly close: () => void;
}

/**
 * Opens the feed. It returns once the feed has answered, so that no later change is missed.
 *
 * @throws Error if the feed refuses, or does not answer.
 */
export async function openFeed(type: string, key: string): Promise<Feed> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), OPEN_MS);
  try {
    const response = await fetch(`/v1/changes?type=${encodeURIComponent(type)}`, {
      headers: { accept: 'text/event-stream', ...authorization(key) },
      ...WITHOUT_CACHES,
      signal: abort.signal,
    });
    if (!response.ok || response.body === null) throw new Error(`the feed answered ${response.status}`);
    return reading(response.body, abort);
  } finally {
    clearTimeout(timer);
  }
}

const OPEN_MS = 10_000;

function reading(body: ReadableStream<BufferSource>, abort: AbortController): Feed {
  const changes: Change[] = [];
  let notify = () => {};
  let hasEnded = false;
  const take = (name: string, data: unknown) => {
    const change = changeOf(name, data);
    if (change !== undefined) changes.push(change);
    notify();
  };
  // The stream ends by `close`, or because the connection broke: what has arrived still counts.
  void readEvents(body, take)
    .catch(() => {})
    .finally(() => {
      hasEnded = true;
      notify();
    });
  return {
    find: (fits, timeoutMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => resolve(undefined), timeoutMs);
        notify = () => {
          const found = changes.find(fits);
          if (found === undefined && !hasEnded) return;
          clearTimeout(timer);
          resolve(found);
        };
        notify();
      }),
    close: () => abort.abort(),
  };
}

/** The change that an event has; undefined for events of other names. */
export function changeOf(name: string, json: unknown): Change | undefined {
  if (name !== 'change') return undefined;
  const [change, type, time] = [memberOf(json, 'change'), memberOf(json, 'type'), memberOf(json, 'time')];
  const entities = memberOf(json, 'entities');
  if (typeof change !== 'number' || typeof type !== 'string' || !Array.isArray(entities)) return undefined;
  return { change, type, time: typeof time === 'string' ? time : undefined, entities: entities.map(String) };
}

/** The live feed, read by `fetch`: an `EventSource` cannot send the key in a header. */
import { memberOf } from './answers.ts';
import { authorization, WITHOUT_CACHES } from './http.ts';

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
  const read = async () => {
    const events = eventParser((change) => changes.push(change));
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      events(part.value);
      notify();
    }
  };
  // The stream ends by `close`, or because the connection broke: what has arrived still counts.
  void read()
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

/** Parses the text of server-sent events (HTML Living Standard §9.2) piece by piece; lines may be cut anywhere. */
export function eventParser(take: (change: Change) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n');
      if (!lines.includes('event: change')) continue;
      const data = lines.find((line) => line.startsWith('data: '))?.slice('data: '.length);
      const change = data === undefined ? undefined : changeOf(JSON.parse(data));
      if (change !== undefined) take(change);
    }
  };
}

function changeOf(json: unknown): Change | undefined {
  const [change, type, time] = [memberOf(json, 'change'), memberOf(json, 'type'), memberOf(json, 'time')];
  const entities = memberOf(json, 'entities');
  if (typeof change !== 'number' || typeof type !== 'string' || !Array.isArray(entities)) return undefined;
  return { change, type, time: typeof time === 'string' ? time : undefined, entities: entities.map(String) };
}

/** The live counts, read by `fetch`: an `EventSource` cannot send the key in a header. */
import { authorization, WITHOUT_CACHES } from '../http.ts';
import { readEvents } from '../server-events.ts';
import { addressOf } from './load.ts';
import type { Question } from './panels.ts';
import { type Counts, countsOf } from './series.ts';

/** The pause before a stream is opened again, in milliseconds; it doubles up to the longest. */
const AGAIN_MS = 2_000;
const AGAIN_MS_MAX = 60_000;

export interface LiveCounts {
  readonly question: Question;
  readonly key: string;
  readonly take: (newest: Counts) => void;
  /** Tells whether counts arrive. */
  readonly state: (isLive: boolean) => void;
}

/** Follows the newest minutes until it is stopped, over any number of streams. @returns what stops it. */
export function follow({ question, key, take, state }: LiveCounts): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  const run = async () => {
    let pauseMs = AGAIN_MS;
    while (!signal.aborted) {
      try {
        const response = await fetch(addressOf('/v1/admin/series/live', question), {
          headers: { accept: 'text/event-stream', ...authorization(key) },
          ...WITHOUT_CACHES,
          signal,
        });
        if (response.ok && response.body !== null)
          await readEvents(response.body, (name, data) => {
            state(name === 'series');
            pauseMs = AGAIN_MS;
            if (name === 'series') take(countsOf(data));
          });
      } catch {
        // The stream could not be opened, or has ended: another is opened after a pause.
      }
      if (signal.aborted) return;
      state(false);
      await pause(pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, AGAIN_MS_MAX);
    }
  };
  void run();
  return () => abort.abort();
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

import * as z from 'zod';
import { IMPORT_SOURCE } from './event.ts';

/** The queue has taken the lines by now; the database takes a few thousand a second. */
const POLL_MS = 1_000;
const NOTICE_MS = 10_000;
/** Counts that stand still for this long will not move by waiting. */
const STALL_MS = 45_000;

const Pipeline = z.object({
  events: z.object({ stored: z.int() }),
  quarantine: z.record(z.string(), z.int()),
  outbox: z.object({ pending: z.int() }),
});

/** What the server holds of the import's source. */
export interface StoredCounts {
  readonly stored: number;
  readonly quarantined: number;
  /** Whether these are all lines that were sent. */
  readonly complete: boolean;
  /** Changes, of any source, that caches and features are still to be told of. */
  readonly pending: number;
  readonly seconds: number;
}

export interface StoredDeps {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly reporter: { notice(text: string): void };
}

/**
 * Waits until the server has stored or quarantined as many lines as it took, and everything is relayed. Returns
 * what there is when nothing moves any more, when the counts cannot be had, or when the signal is aborted.
 */
export async function waitUntilStored(
  { url, key, lines }: { url: URL; key: string; lines: number },
  { fetch, now, sleep, reporter }: StoredDeps,
  signal: AbortSignal,
): Promise<StoredCounts | null> {
  const startedAt = now();
  const address = new URL(`admin/pipeline?source=${encodeURIComponent(IMPORT_SOURCE)}`, url);
  let counts: StoredCounts | null = null;
  let movedAt = startedAt;
  let noticedAt = startedAt;
  while (!signal.aborted && now() - movedAt < STALL_MS) {
    const response = await fetch(address, { headers: { authorization: `Bearer ${key}` } }).catch(() => null);
    // Another server than ours, or another key: it will not say more by being asked again.
    if (response !== null && response.status >= 400 && response.status < 500) return null;
    const parsed = Pipeline.safeParse(response?.ok ? await response.json() : null);
    if (parsed.success) {
      const { events, quarantine, outbox } = parsed.data;
      const quarantined = Object.values(quarantine).reduce((sum, count) => sum + count, 0);
      const { stored } = events;
      const { pending } = outbox;
      const complete = stored + quarantined >= lines;
      const before: Pick<StoredCounts, 'stored' | 'quarantined' | 'pending'> = counts ?? {
        stored: 0,
        quarantined: 0,
        pending,
      };
      if (stored + quarantined !== before.stored + before.quarantined || pending !== before.pending)
        movedAt = now();
      counts = { stored, quarantined, complete, pending, seconds: (now() - startedAt) / 1_000 };
      if (complete && pending === 0) return counts;
      if (now() - noticedAt >= NOTICE_MS) {
        noticedAt = now();
        reporter.notice(
          `All lines are sent; ${(events.stored + quarantined).toLocaleString('en-US')} are stored.`,
        );
      }
    }
    await sleep(POLL_MS, signal);
  }
  return counts;
}

/** The end of an import as the database sees it. */
export function describeStored({ stored, quarantined, complete, pending, seconds }: StoredCounts): string {
  const counts = `In the database: ${stored.toLocaleString('en-US')} events of this source, and ${quarantined.toLocaleString('en-US')} in quarantine`;
  if (complete && pending === 0) return `${counts}, ${seconds.toFixed(1)} s after the last line was sent.`;
  if (complete)
    return `${counts}. That is all of them; ${pending.toLocaleString('en-US')} changes still wait to be relayed to caches and features.`;
  return `${counts}. That is not all of them: the stack was probably stopped while its queue, which lives in memory on this machine, held the rest. Send them again with --restart; what is known is not counted twice.`;
}

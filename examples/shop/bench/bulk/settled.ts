import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';

const POLL_MS = 500;
/** Counts that stand still for this long have settled, in milliseconds. */
const STILL_MS = 4_000;

const Pipeline = z.object({
  events: z.object({ stored: z.int() }),
  quarantine: z.record(z.string(), z.int()),
  outbox: z.object({ pending: z.int() }),
  features: z.object({ folded: z.record(z.string(), z.int()) }),
});

export interface Settled {
  readonly stored: number;
  /** Seconds since `startedAt` until the counts reached what they are in the end. */
  readonly seconds: { readonly stored: number; readonly relayed: number; readonly folded: number };
}

/** Live events go on meanwhile: a count that changes by no more than this between two polls stands still. */
const LIVE_EVENTS_MAX = 50;

/** Returns once `isSent` and no count changes any more, other than by live events. */
export async function untilSettled(
  base: URL,
  key: string,
  startedAt: number,
  isSent: () => boolean,
): Promise<Settled> {
  const url = new URL('/v1/admin/pipeline?source=/imports/online-retail', base);
  const changed = { stored: 0, relayed: 0, folded: 0 };
  const last = { stored: 0, relayed: 0, folded: 0 };
  for (;;) {
    const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const { events, outbox, features } = Pipeline.parse(await response.json());
    const folded = Object.values(features.folded).reduce((sum, count) => sum + count, 0);
    const counts = { stored: events.stored, relayed: events.stored - outbox.pending, folded };
    const elapsed = (performance.now() - startedAt) / 1_000;
    for (const name of ['stored', 'relayed', 'folded'] as const) {
      if (Math.abs(counts[name] - last[name]) > LIVE_EVENTS_MAX) changed[name] = elapsed;
      last[name] = counts[name];
    }
    const newest = Math.max(...Object.values(changed));
    if (isSent() && elapsed - newest > STILL_MS / 1_000) return { stored: events.stored, seconds: changed };
    await sleep(POLL_MS);
  }
}

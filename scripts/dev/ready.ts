import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';

/** What is still on its way after this long goes on in the background. */
const SETTLE_TIMEOUT_MS = 60_000;
const ASK_EVERY_MS = 2_000;
const UNAVAILABLE = 503;

const States = z.object({ features: z.array(z.object({ state: z.string() })) });

/**
 * Relays every committed change, and waits until the feature shards have folded what they were sent and all features are
 * ready.
 *
 * @returns whether they are; what is still on its way goes on in the background.
 */
export async function settle({ url, key }: { url: string; key: string }): Promise<boolean> {
  const headers = { authorization: `Bearer ${key}` };
  const swept = await fetch(`${url}/v1/admin/outbox/sweep`, { method: 'POST', headers });
  if (!swept.ok) throw new Error(`The outbox could not be relayed: ${await swept.text()}`);
  await untilFolded(url, headers);
  return await untilReady(url, headers);
}

/** No route says when folding has ended: it has once the shards' counts stand still. */
async function untilFolded(url: string, headers: Record<string, string>): Promise<void> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  let before = '';
  while (performance.now() < deadline) {
    const response = await fetch(`${url}/v1/admin/pipeline`, { headers });
    const state = await response.text();
    if (state === before) return;
    before = state;
    await sleep(750);
  }
}

/** Lets features that the shards do not have be built from history, and waits for it. @returns whether all are ready. */
async function untilReady(url: string, headers: Record<string, string>): Promise<boolean> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  // The shards may be newer than the database, so they are asked first. One call builds a bounded part of a long history.
  while (performance.now() < deadline) {
    const signal = AbortSignal.timeout(SETTLE_TIMEOUT_MS);
    const asked = await fetch(`${url}/v1/admin/features/backfill`, { method: 'POST', headers, signal });
    // A relay that is busy is asked again.
    if (!asked.ok && asked.status !== UNAVAILABLE)
      throw new Error(`The features could not be built: ${await asked.text()}`);
    const askAgainAt = performance.now() + ASK_EVERY_MS;
    while (performance.now() < askAgainAt) {
      const listed = await fetch(`${url}/v1/admin/features`, { headers, signal });
      if (!listed.ok) throw new Error(`The features could not be listed: ${await listed.text()}`);
      const { features } = States.parse(await listed.json());
      const isReady = !features.some(({ state }) => state === 'waiting' || state === 'filling');
      if (asked.ok && isReady) return true;
      await sleep(250);
    }
  }
  return false;
}

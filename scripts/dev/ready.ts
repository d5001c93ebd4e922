import { setTimeout as sleep } from 'node:timers/promises';

/** What is still on its way after this long goes on in the background. */
const SETTLE_TIMEOUT_MS = 60_000;

/** Relays every committed change, and waits until the feature shards have folded what they were sent. */
export async function settle({ url, key }: { url: string; key: string }): Promise<void> {
  const headers = { authorization: `Bearer ${key}` };
  const swept = await fetch(`${url}/v1/admin/outbox/sweep`, { method: 'POST', headers });
  if (!swept.ok) throw new Error(`The outbox could not be relayed: ${await swept.text()}`);
  await untilFolded(url, headers);
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

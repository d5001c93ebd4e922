import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '../../src/client/index.ts';

/** What is still on its way after this long goes on in the background. */
const SETTLE_TIMEOUT_MS = 60_000;
const ASK_EVERY_MS = 2_000;
/** A relay or a shard that is busy, as on a slow machine after a seed, is asked again for this long. */
const BUSY_MS_MAX = 180_000;
/** One answer: a sweep gives up after half of it. */
const ANSWER_MS_MAX = 60_000;

/**
 * Relays every committed change, and waits until the feature shards have folded what they were sent and all features are
 * ready.
 *
 * @returns whether they are; what is still on its way goes on in the background.
 */
export async function settle(at: { url: string; key: string }): Promise<boolean> {
  const client = createClient({ ...at, deadlineMs: BUSY_MS_MAX, attemptMs: ANSWER_MS_MAX });
  await client.post('/v1/admin/outbox/sweep', { isRepeatable: true }).catch(because('relay the outbox'));
  await untilFolded(client);
  return await untilReady(client);
}

function because(what: string): (error: unknown) => never {
  return (error) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`The worker could not ${what}: ${reason}`, { cause: error });
  };
}

/** No route says when folding has ended: it has once the shards' counts stand still. */
async function untilFolded(client: Client): Promise<void> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  let before = '';
  while (performance.now() < deadline) {
    const { data } = await client.get('/v1/admin/pipeline').catch(because('count what is folded'));
    const state = JSON.stringify(data);
    if (state === before) return;
    before = state;
    await sleep(750);
  }
}

/** Lets features that the shards do not have be built from history, and waits for it. @returns whether all are ready. */
async function untilReady(client: Client): Promise<boolean> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  // The shards may be newer than the database, so they are asked first. One call builds a bounded part of a long history.
  while (performance.now() < deadline) {
    await client
      .post('/v1/admin/features/backfill', { isRepeatable: true })
      .catch(because('build the features'));
    const askAgainAt = performance.now() + ASK_EVERY_MS;
    while (performance.now() < askAgainAt) {
      const { data } = await client.get('/v1/admin/features').catch(because('list the features'));
      if (!data.features.some(({ state }) => state === 'waiting' || state === 'filling')) return true;
      await sleep(250);
    }
  }
  return false;
}

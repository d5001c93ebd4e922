import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { tagHashes } from '../../src/cache/clock/tag-hash.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { featureTag } from '../../src/features/groups.ts';
import { catalog } from '../support/catalog/index.ts';
import { CountedEnv } from '../support/workers/counted-env.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const counted = new CountedEnv(env);
const app = appOf(new Isolate(catalog));

/** Asks for a prediction. @returns how often shards were called. These tests have no database, so the fallback answers. */
async function shardCalls(key: string, consistency = 'bounded'): Promise<number> {
  counted.take();
  const context = createExecutionContext();
  const headers = {
    authorization: 'Bearer test-key',
    'content-type': 'application/json',
    'millrace-consistency': consistency,
  };
  const body = JSON.stringify({ key, request: { hour: 1 } });
  const response = await app.request(
    '/v1/predictions/mood',
    { method: 'POST', headers, body },
    counted.env,
    context,
  );
  expect(response.status).toBe(200);
  await response.arrayBuffer();
  await waitOnExecutionContext(context);
  const calls = Object.entries(counted.take()).filter(([name]) => name.startsWith('FEATURE_SHARD.'));
  return calls.reduce((sum, [, times]) => sum + times, 0);
}

it('a prediction calls a shard once for a key that changed or is new, and otherwise none', async () => {
  const root = env.TAG_CLOCK.getByName('root');
  // Without a watermark the mirror would be no news of the source.
  await root.closePass(await root.openPass(OUTBOX));
  await serveEntity('customer');
  // The first reader of each shard announces that it is ready, which invalidates the rows of the entity.
  for (let round = 0; round < 3; round += 1) for (const key of ['C1', 'C2']) await shardCalls(key, 'strong');
  for (let asked = 0; asked < 20; asked += 1)
    expect([await shardCalls('C1'), await shardCalls('C2')]).toEqual([0, 0]);
  await root.invalidateTags(tagHashes([featureTag('customer', 'C1')]));
  expect([await shardCalls('C1', 'strong'), await shardCalls('C1'), await shardCalls('C2')]).toEqual([
    1, 0, 0,
  ]);
});

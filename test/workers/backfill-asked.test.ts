import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { catalog } from '../support/catalog/index.ts';
import { CountedEnv } from '../support/workers/counted-env.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const counted = new CountedEnv(env);
const app = appOf(new Isolate(catalog));

/** Reads a feature of a key, and returns its status and how often the relay was asked for a backfill. */
async function read(key: string): Promise<{ status: unknown; asked: number }> {
  counted.take();
  const context = createExecutionContext();
  const answer = await app.request(
    '/v1/features/read',
    {
      method: 'POST',
      headers: { authorization: 'Bearer test-key', 'content-type': 'application/json' },
      body: JSON.stringify({ entity: 'customer', keys: [key], features: ['purchases_30d'] }),
    },
    counted.env,
    context,
  );
  const { results } = (await answer.json()) as {
    results: { features: { purchases_30d: { status: string } } }[];
  };
  await waitOnExecutionContext(context);
  return {
    status: results[0]?.features.purchases_30d.status,
    asked: counted.take()['OUTBOX_RELAY.backfill'] ?? 0,
  };
}

it('a read of a feature that is not ready asks for its backfill once, whatever the number of readers', async () => {
  expect(await read('b1')).toEqual({ status: 'NOT_READY', asked: 1 });
  expect(await read('b2')).toEqual({ status: 'NOT_READY', asked: 0 });
  await serveEntity('customer');
  expect(await read('b3')).toEqual({ status: 'NOT_FOUND', asked: 0 });
});

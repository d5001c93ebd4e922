import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => await stack?.[Symbol.asyncDispose]());

const Report = z.looseObject({
  walk: z.looseObject({ endedAt: z.string().nullable(), isUnderWay: z.boolean() }).nullable(),
  stores: z.array(
    z.looseObject({
      store: z.string(),
      items: z.number().nullable(),
      bytes: z.number().nullable(),
      declared: z.array(z.looseObject({ entry: z.string(), days: z.number() })),
    }),
  ),
});
const report = async () => {
  const { status, json } = await stack.caller.ask('GET', '/v1/admin/lifecycle');
  expect(status).toBe(200);
  const { walk, stores } = Report.parse(json);
  return { walk, of: new Map(stores.map((store) => [store.store, store])) };
};

it('shows what is kept, and R2 once the cron has walked over it', async () => {
  const before = await report();
  expect([before.walk, before.of.get('artifacts/')?.items]).toEqual([null, null]);
  expect(before.of.get('outbox')?.declared).toEqual([{ entry: 'outbox', days: 30 }]);
  // Every class that keeps anything tells how much.
  for (const name of ['TagClock', 'FeatureShard', 'Idempotency', 'Datasets', 'Alerts', 'CacheStats'])
    expect(before.of.get(name)?.bytes, name).toBeGreaterThan(0);
  expect(before.of.get('FeatureShard')?.items).toBe(16);
  for (const name of ['events', 'model_versions', 'tables of the catalog'])
    expect(before.of.get(name)?.bytes, name).toBeGreaterThan(0);

  const bytes = Buffer.from('an artifact that no version names');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const headers = { 'content-type': 'application/octet-stream', authorization: `Bearer ${KEY}` };
  const uploaded = await stack.fetch(`/v1/admin/artifacts/${sha256}`, {
    ...{ method: 'PUT', headers, body: bytes },
  });
  expect(uploaded.status).toBe(201);
  await stack.scheduled();
  const after = await eventually(report, ({ walk }) => walk?.endedAt != null);
  expect(after.walk?.isUnderWay).toBe(false);
  expect(after.of.get('artifacts/')).toMatchObject({ items: 1, bytes: bytes.length });
  // Another walk is due a day later, and the catalog declares no retention of models.
  await stack.scheduled();
  expect((await report()).of.get('artifacts/')).toMatchObject({ items: 1 });
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

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
  // The first question makes the objects, and what has not answered in time is unknown.
  const NAMES = [
    ...['TagClock', 'FeatureShard', 'Idempotency', 'Datasets', 'Alerts', 'CacheStats'],
    ...['events', 'model_versions', 'tables of the catalog'],
  ];
  const before = await eventually(report, ({ of }) => NAMES.every((name) => of.get(name)?.bytes != null));
  expect([before.walk, before.of.get('artifacts/')?.items]).toEqual([null, null]);
  expect(before.of.get('outbox')?.declared).toEqual([{ entry: 'outbox', days: 30 }]);
  for (const name of NAMES) expect(before.of.get(name)?.bytes, name).toBeGreaterThan(0);
  expect(before.of.get('FeatureShard')?.items).toBe(16);

  const text = 'an artifact that no version names';
  await (await stack.bucket()).put(`artifacts/${'a'.repeat(64)}`, text);
  await stack.scheduled();
  const after = await eventually(report, ({ walk }) => walk?.endedAt != null);
  expect(after.walk?.isUnderWay).toBe(false);
  expect(after.of.get('artifacts/')).toMatchObject({ items: 1, bytes: text.length });
  // Another walk is due a day later, and the catalog declares no retention of models.
  await stack.scheduled();
  expect((await report()).of.get('artifacts/')).toMatchObject({ items: 1 });
});

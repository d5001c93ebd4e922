import { afterAll, beforeAll, expect, it } from 'vitest';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';
import { gatesAt } from '../support/peers/gates.ts';
import { purchaseOf } from './purchases.ts';

let stack: Stack;
beforeAll(async () => {
  // A minute of the objectives takes a second, so that they have been measured soon.
  if (!IS_PART) stack = await startStack({ ALERTS_MINUTE_MS: '1000' }, { capture: true });
});
afterAll(async () => await stack?.[Symbol.asyncDispose]());

const put = async (phase: string, state: string) =>
  await stack.caller.ask('PUT', `/v1/admin/phases/${phase}`, { json: { state, reason: 'a test' } });

it.skipIf(IS_PART)('a phase whose gates hold is switched on by one principal', async () => {
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  const batch = Array.from({ length: 100 }, (_, at) => purchaseOf(`C${at}`, '10001A'));
  await stack.caller.ask('POST', '/v1/events', { json: batch, headers });
  await Promise.all(Array.from({ length: 120 }, () => stack.caller.ask('GET', '/health/live')));
  // The work of each minute, as the platform has it done.
  await stack.scheduled();
  expect((await put('cache', 'off')).status).toBe(200);
  const { by } = await eventually(
    () => gatesAt(stack),
    ({ open }) => open.cache,
    60_000,
  );
  expect(by.get('baselines')?.holds).toBe(true);
  expect(by.get('event_schemas')?.measured).toMatchObject({ refused: 0 });
  const switched = await put('cache', 'on');
  expect(switched.status).toBe(200);
  expect(switched.json['phases']).toMatchObject({ cache: { state: 'on', approvedBy: null } });
});

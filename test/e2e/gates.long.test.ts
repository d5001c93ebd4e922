import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FLUSH_EVERY_MS } from '../../src/platform/counters.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';
import { gatesAt } from '../support/peers/gates.ts';
import { purchaseOf } from './purchases.ts';

/** A request this long after the last counts sends them. */
const FLUSHED_MS = FLUSH_EVERY_MS + 500;

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
  await Promise.all(Array.from({ length: 120 }, () => stack.fetch('/health/live')));
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

/** The statements and calls that the isolates have counted, by the peer. */
async function calls(): Promise<Readonly<Record<string, number>>> {
  const { text } = await stack.caller.ask('GET', '/metrics');
  const found = [...text.matchAll(/^millrace_peer_calls_total\{(.*)\} (\d+)$/gm)];
  const sums: Record<string, number> = {};
  for (const [, labels = '', count] of found) {
    const peer = /peer="([^"]+)"/.exec(labels)?.[1] ?? '';
    sums[peer] = (sums[peer] ?? 0) + Number(count);
  }
  return sums;
}

const TIMES = 20;

it.skipIf(IS_PART)(
  'the routes of gates and phases cost as many statements and calls as their page says',
  async () => {
    const costs: Record<string, unknown> = {};
    for (const [name, ask] of [
      ['GET /v1/gates', () => stack.caller.ask('GET', '/v1/gates')],
      ['GET /v1/admin/phases', () => stack.caller.ask('GET', '/v1/admin/phases')],
      ['PUT', () => put('pipeline', 'on')],
    ] as const) {
      const before = await settled();
      for (let time = 0; time < TIMES; time += 1) expect((await ask()).status).toBe(200);
      const after = await settled();
      costs[name] = Object.fromEntries(
        Object.entries(after).flatMap(([peer, count]) => {
          const each = Math.round((count - (before[peer] ?? 0)) / TIMES);
          return each === 0 ? [] : [[peer, each]];
        }),
      );
    }
    expect(costs).toEqual({});
  },
);

/** The counts once the isolate has sent all of them. */
async function settled() {
  let last = await calls();
  for (;;) {
    await sleep(FLUSHED_MS);
    const now = await calls();
    if (now['database'] === last['database']) return now;
    last = now;
  }
}

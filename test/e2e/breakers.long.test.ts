import { afterAll, beforeAll, expect, it } from 'vitest';
import { partOf } from '../support/node/part.ts';
import { eventually, type Stack } from '../support/node/stack.ts';
import { type Client, prepareScenario, requestsOf } from '../support/peers/client.ts';
import { besideSamples, judged } from '../support/peers/standstill.ts';
import { expected, ROUTES, type Route, type TroubledPeer } from '../support/peers/table.ts';
import { startTroubled } from '../support/peers/troubled.ts';

/** A peer that hangs costs a few callers their wait. Then its breaker opens, and the others are answered as if it failed. */

/** What a request may take beside its waits on a quiet machine, in milliseconds. */
const WORK_MS = 400;
/** Each round fails at least once; a breaker opens at the fifth failure, if they are a second apart. */
const ROUNDS_MAX = 8;
const TOGETHER = 3;

/** For each peer a route that waits for it for seconds. */
const WAITING: readonly (readonly [TroubledPeer, Route])[] = [
  ['database', 'view, not cached'],
  ['queue', 'event'],
  ['outbox-relay', 'event, `Prefer: wait`'],
  ['root-clock', 'purge'],
  ['training-runs', 'start of a training'],
  ['cache-stats', 'statistics of the cache'],
];

let stack: Stack;
let client: Client;
beforeAll(async () => {
  ({ stack, client } = await startTroubled());
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

let scenarios = 0;

it.each(partOf(WAITING, 4))('%s hangs: %s', async (peer, route) => {
  scenarios += 1;
  const n = scenarios;
  await prepareScenario(client, n);
  const ask = () => client.timed(...requestsOf(n)[route]);
  const { status, withinMs } = expected(peer, 'fail', route);
  await client.trouble({ [peer]: 'hang' });
  try {
    const first = await ask();
    expect([first.status, first.afterMs > withinMs]).toEqual([expected(peer, 'hang', route).status, true]);
    let rounds = 0;
    for (; rounds < ROUNDS_MAX; rounds += 1) {
      const answers = await Promise.all(Array.from({ length: TOGETHER }, ask));
      if (answers.every(({ afterMs }) => afterMs <= withinMs)) break;
    }
    expect(rounds).toBeLessThan(ROUNDS_MAX);
    // One of the next may be the probe, which waits.
    const { wrong } = await judged(async () => {
      const [answers, slowestMs] = await besideSamples(
        () => client.timed('main', ['GET', '/health/live']),
        () => Promise.all(Array.from({ length: 10 }, ask)),
      );
      const late = answers.filter(({ afterMs }) => afterMs > withinMs + WORK_MS + 3 * slowestMs);
      const others = answers.filter((answer) => answer.status !== status);
      return { wrong: [...late.slice(1), ...others].map((answer) => JSON.stringify(answer)), slowestMs };
    });
    expect(wrong).toEqual([]);
  } finally {
    await client.trouble({}, { breakers: 'keep' });
  }
  // A probe finds out that the peer answers again.
  await eventually(ask, (answer) => answer.status === ROUTES[route]);
  const { text } = await eventually(
    () => stack.caller.ask('GET', '/metrics'),
    (answer) => answer.text.includes(`outcome="refused",peer="${peer}"`),
  );
  expect(text).toMatch(
    new RegExp(`^millrace_peer_calls_total\\{outcome="refused",peer="${peer}"\\} [1-9]`, 'm'),
  );
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack } from '../support/node/stack.ts';
import { type Client, prepareScenario, requestsOf } from '../support/peers/client.ts';
import { expected, ROUTES, type Route, type TroubledPeer } from '../support/peers/table.ts';
import { startTroubled } from '../support/peers/troubled.ts';

/**
 * A service answers with bytes of another format, as a proxy before it does that is misconfigured. Every route then answers as
 * if the service failed: no route answers 500, and none passes the bytes on.
 */

/** The services whose answers another program writes. The others are objects of the worker itself. */
const FOREIGN: readonly TroubledPeer[] = ['database', 'kv', 'colo-cache', 'artifacts'];

/** What no bytes are asked for is answered as usual: readiness asks R2 for the size of an object. */
const UNTOUCHED: Readonly<Record<string, readonly Route[]>> = { artifacts: ['/health/ready'] };

let stack: Stack;
let client: Client;
beforeAll(async () => {
  ({ stack, client } = await startTroubled());
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

let scenarios = 0;

it.each(FOREIGN)('%s', async (peer) => {
  scenarios += 1;
  const n = scenarios;
  await prepareScenario(client, n);
  await client.trouble({ [peer]: 'wrong' });
  const answers = new Map<Route, number>();
  const owed = new Map<Route, number>();
  try {
    for (const [name, asked] of Object.entries(requestsOf(n))) {
      // There is no Kafka.
      if (name === 'report on Kafka') continue;
      const route = name as Route;
      answers.set(route, (await client.timed(...asked)).status);
      const isUntouched = UNTOUCHED[peer]?.includes(route) === true;
      owed.set(route, isUntouched ? ROUTES[route] : expected(peer, 'wrong', route).status);
    }
    expect(answers).toEqual(owed);
  } finally {
    await client.trouble({});
  }
  // Nothing of it stays: the same requests are answered as usual.
  for (const route of ['cached view', 'view, not cached', 'prediction, model not loaded'] as const)
    await eventually(
      () => client.timed(...requestsOf(n)[route]),
      ({ status }) => status === ROUTES[route],
    );
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FIXTURE } from '../support/node/fixture.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';
import { Client, isolatesOf, prepareScenario, requestsOf } from '../support/peers/client.ts';
import { expected, ROUTES, type Route, TABLE, TROUBLES, type TroubledPeer } from '../support/peers/table.ts';

/** Longer than the default bound of a view, so that mirrors are too old without their clock, in milliseconds. */
const MIRRORS_AGE_MS = 2_100;
/** How often a request that needs no peer measures how slow this machine is, in milliseconds. */
const SAMPLE_MS = 250;
/** What a request may take beside its waits on a quiet machine, in milliseconds. */
const WORK_MS = 400;

/** The path of the bridge that gets no answer. */
let silentPath: string | undefined;
/** A Kafka REST bridge with a topic of one partition, as a report asks it. */
const bridge = createServer(({ url = '' }, response) => {
  if (silentPath !== undefined && url.startsWith(silentPath)) return;
  const [, , name = '', at] = url.split('/');
  const offset = name === 'committed' ? 1 : at === 'earliest' ? 0 : 3;
  const answer = name === 'topics' ? { events: 1 } : [{ topic: 'events', partition: 0, offset }];
  response.end(JSON.stringify(answer));
});
let stack: Stack;
let client: Client;
beforeAll(async () => {
  const listening = Promise.withResolvers<void>();
  bridge.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  // A server that listens on a port has an address object.
  const { port } = bridge.address() as AddressInfo;
  stack = await startStack(
    {
      KAFKA_REST_URL: `http://127.0.0.1:${port}/kafka`,
      KAFKA_REST_USERNAME: 'user',
      KAFKA_REST_PASSWORD: 'password',
      KAFKA_SOURCE_TOPICS: 'events',
    },
    { served: { ...FIXTURE, main: 'test/support/worker/troubled.ts' } },
  );
  client = new Client(stack);
  await client.publish();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  bridge.closeAllConnections();
  bridge.close();
});

let scenarios = 0;

/** Sends one request to each route while a peer is in trouble. */
async function answersWhile(troubles: Parameters<Client['trouble']>[0]) {
  scenarios += 1;
  const n = scenarios;
  await prepareScenario(client, n);
  await client.trouble(troubles);
  try {
    await sleep(MIRRORS_AGE_MS);
    let slowestMs = 0;
    let isOver = false;
    const sampling = (async () => {
      while (!isOver) {
        const { afterMs } = await client.timed(isolatesOf(n).known, ['GET', '/health/live']);
        slowestMs = Math.max(slowestMs, afterMs);
        await sleep(SAMPLE_MS);
      }
    })();
    const answers = await Promise.all(
      Object.entries(requestsOf(n)).map(async ([route, [isolate, asked]]) => ({
        route: route as Route,
        ...(await client.timed(isolate, asked)),
      })),
    );
    isOver = true;
    await sampling;
    return { answers, slackMs: WORK_MS + 3 * slowestMs };
  } finally {
    await client.trouble({});
  }
}

it('answers as usual while all peers are well', { timeout: 120_000 }, async () => {
  const { answers } = await answersWhile({});
  expect(Object.fromEntries(answers.map(({ route, status }) => [route, status]))).toEqual(ROUTES);
});

it.each([
  ['committed', { committed: null, latest: 3, lag: null }],
  ['earliest', { committed: 1, latest: 3, lag: null }],
  ['latest', { committed: 1, latest: null, lag: null }],
  ['reader', { committed: 1, latest: 3, lag: 2, failures: null }],
] as const)('the report on Kafka names the part that does not answer: %s', async (part, answered) => {
  const paths = {
    committed: '/kafka/committed',
    earliest: '/kafka/offsets/earliest',
    latest: '/kafka/offsets/latest',
  };
  if (part === 'reader') await client.trouble({ 'kafka-source': 'hang' });
  else silentPath = paths[part];
  try {
    const response = await stack.fetch('/v1/admin/kafka', { headers: { authorization: `Bearer ${KEY}` } });
    const { partitions } = (await response.json()) as { partitions: unknown[] };
    expect([response.status, partitions]).toEqual([
      200,
      [expect.objectContaining({ ...answered, unanswered: [part] })],
    ]);
  } finally {
    silentPath = undefined;
    await client.trouble({});
  }
});

const CELLS = (Object.keys(TABLE) as TroubledPeer[]).flatMap((peer) =>
  TROUBLES.map((trouble) => ({ peer, trouble })),
);

it.each(CELLS)('$peer: $trouble', { timeout: 180_000 }, async ({ peer, trouble }) => {
  const { answers, slackMs } = await answersWhile({ [peer]: trouble });
  const wrong = answers.flatMap(({ route, status, afterMs, detail }) => {
    const { status: owed, withinMs } = expected(peer, trouble, route);
    if (status === owed && afterMs <= withinMs + slackMs) return [];
    return [`${route}: ${status} after ${afterMs} ms (${detail}) instead of ${owed} within ${withinMs} ms`];
  });
  expect(wrong, `On this machine each may take ${slackMs} ms more.`).toEqual([]);
});

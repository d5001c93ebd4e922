import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FIXTURE } from '../support/node/fixture.ts';
import { IS_PART, partOf } from '../support/node/part.ts';
import { type Stack, startStack } from '../support/node/stack.ts';
import { Client, commitPending, isolatesOf, prepareScenario, requestsOf } from '../support/peers/client.ts';
import { besideSamples, judged } from '../support/peers/standstill.ts';
import { expected, ROUTES, type Route, TABLE, TROUBLES, type TroubledPeer } from '../support/peers/table.ts';

/** Longer than the default bound of a view, so that mirrors are too old without their clock, in milliseconds. */
const MIRRORS_AGE_MS = 2_100;
/** What a request may take beside its waits on a quiet machine, in milliseconds. */
const WORK_MS = 400;
/** The cells wait most of their time, so two stacks halve it. More would make the machine slow. */
const STACKS = 2;

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
const stacks: Stack[] = [];
/** Those that no cell has at the moment. */
const free: Client[] = [];
const waiting: ((client: Client) => void)[] = [];
beforeAll(async () => {
  const listening = Promise.withResolvers<void>();
  bridge.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  // A server that listens on a port has an address object.
  const { port } = bridge.address() as AddressInfo;
  const vars = {
    KAFKA_REST_URL: `http://127.0.0.1:${port}/kafka`,
    KAFKA_REST_USERNAME: 'user',
    KAFKA_REST_PASSWORD: 'password',
    KAFKA_SOURCE_TOPICS: 'events',
  };
  for (let at = 0; at < STACKS; at += 1) {
    const stack = await startStack(vars, { served: { ...FIXTURE, main: 'test/support/worker/troubled.ts' } });
    stacks.push(stack);
    const client = new Client(stack);
    await client.publish();
    free.push(client);
  }
});
afterAll(async () => {
  for (const stack of stacks) await stack[Symbol.asyncDispose]();
  bridge.closeAllConnections();
  bridge.close();
});

/** Runs with a stack of its own. */
async function withClient<T>(run: (client: Client) => Promise<T>): Promise<T> {
  const given = Promise.withResolvers<Client>();
  const first = free.shift();
  if (first === undefined) waiting.push(given.resolve);
  else given.resolve(first);
  const client = await given.promise;
  try {
    return await run(client);
  } finally {
    const next = waiting.shift();
    if (next === undefined) free.push(client);
    else next(client);
  }
}

let scenarios = 0;

/** Sends one request to each route while a peer is in trouble. */
async function answersWhile(client: Client, troubles: Parameters<Client['trouble']>[0]) {
  scenarios += 1;
  const n = scenarios;
  await prepareScenario(client, n);
  await client.trouble(troubles);
  const pending = commitPending(client, n);
  try {
    await sleep(MIRRORS_AGE_MS);
    const [answers, slowestMs] = await besideSamples(
      () => client.timed(isolatesOf(n).known, ['GET', '/health/live']),
      () =>
        Promise.all(
          Object.entries(requestsOf(n)).map(async ([route, [isolate, asked]]) => ({
            route: route as Route,
            ...(await client.timed(isolate, asked)),
          })),
        ),
    );
    return { answers, slowestMs, slackMs: WORK_MS + 3 * slowestMs };
  } finally {
    await client.trouble({});
    await pending;
  }
}

it('answers as usual while all peers are well', { timeout: 120_000 }, async () => {
  const { answers } = await withClient((client) => answersWhile(client, {}));
  expect(Object.fromEntries(answers.map(({ route, status }) => [route, status]))).toEqual(ROUTES);
});

it.each([
  ['committed', { committed: null, latest: 3, lag: null }],
  ['earliest', { committed: 1, latest: 3, lag: null }],
  ['latest', { committed: 1, latest: null, lag: null }],
  ['reader', { committed: 1, latest: 3, lag: 2, failures: null }],
] as const)('the report on Kafka names the part that does not answer: %s', async (part, answered) => {
  const [stack] = stacks;
  if (stack === undefined) throw new Error('No stack has started.');
  const client = new Client(stack);
  const paths = {
    committed: '/kafka/committed',
    earliest: '/kafka/offsets/earliest',
    latest: '/kafka/offsets/latest',
  };
  if (part === 'reader') await client.trouble({ 'kafka-source': 'hang' });
  else silentPath = paths[part];
  try {
    const { status, json } = await stack.caller.ask('GET', '/v1/admin/kafka');
    expect([status, json['partitions']]).toEqual([
      200,
      [expect.objectContaining({ ...answered, unanswered: [part] })],
    ]);
  } finally {
    silentPath = undefined;
    await client.trouble({});
  }
});

/** In a part every eighth peer has one trouble; `hung-operations.long.test.ts` asks every operation while each of them hangs. */
const CELLS = partOf(Object.keys(TABLE) as TroubledPeer[], 8).flatMap((peer, at) =>
  TROUBLES.map((trouble) => ({ peer, trouble })).filter((_, of) => !IS_PART || of === at % TROUBLES.length),
);

/** @returns each answer that is other or later than the table says. */
async function wrongWhile(client: Client, { peer, trouble }: (typeof CELLS)[number]) {
  const { answers, slowestMs, slackMs } = await answersWhile(client, { [peer]: trouble });
  const wrong = answers.flatMap(({ route, status, afterMs, detail }) => {
    const { status: owed, withinMs } = expected(peer, trouble, route);
    if (status === owed && afterMs <= withinMs + slackMs) return [];
    return [`${route}: ${status} after ${afterMs} ms (${detail}) instead of ${owed} within ${withinMs} ms`];
  });
  return { wrong, slackMs, slowestMs };
}

// A test may wait for a stack until other cells end.
it.concurrent.each(CELLS)('$peer: $trouble', { timeout: 600_000 }, async (cell) => {
  await withClient(async (client) => {
    const { wrong, slackMs } = await judged(() => wrongWhile(client, cell));
    expect(wrong, `On this machine each may take ${slackMs} ms more.`).toEqual([]);
  });
});

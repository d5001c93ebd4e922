/**
 * Events a second through ingest, and end to end until they are stored, relayed and folded, against the limit: plain
 * batched inserts of the same rows into the same database over the same endpoint. `npm run bench:pipeline -- [--seconds
 * 120]`; `DATABASE_URL` takes a real Postgres instead of the embedded one, and has to be empty.
 *
 * Worker, queues and objects are those of the local platform: what it tells is the ratio on one machine, and not what
 * the platform bears.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { neon, neonConfig } from '@neondatabase/serverless';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import * as z from 'zod';
import { median } from '../../../bench/support/load.ts';
import { queueConsumers } from '../../../bench/support/queue-consumers.ts';
import { bundle, KEY, millrace } from '../../../bench/support/runtime.ts';
import { readOptions } from '../../../scripts/command-line/options.ts';
import { readOrExit } from '../../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../../scripts/command-line/values.ts';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { SHOP } from '../test/served.ts';
import { watchMemory } from './pipeline/memory.ts';
import { PlainInserts, preparePlainTables, tableNames } from './pipeline/plain-inserts.ts';
import { Purchases, storable } from './pipeline/purchases.ts';

/** Events of one request: the most that it may have. */
const REQUEST_EVENTS = 1_000;
/** Events of one plain transaction: as many as a group of the queue's consumer has (queues/batch.ts). */
const TRANSACTION_EVENTS = 2_000;
const REQUESTS_AT_ONCE = 4;
/** Events that are taken and not stored yet: the local queue keeps them in memory. */
const WAITING_EVENTS_MAX = 40_000;
const PLAIN_SECONDS = 15;
const SINGLE_EVENTS = 3_000;
const SINGLE_CONNECTIONS = 32;
const INGEST_SECONDS = 5;
const POLL_MS = 500;

const Pipeline = z.object({
  events: z.object({ stored: z.int() }),
  outbox: z.object({ pending: z.int() }),
  features: z.object({ folded: z.record(z.string(), z.int()) }),
});

const seconds = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:pipeline',
    options: { seconds: { type: 'string', default: '120' } },
  });
  return wholeNumberOf('--seconds', values.seconds, { min: 1 });
});
const purchases = new Purchases();
bundle(SHOP.main, '--outdir', 'dist/millrace');
const url = process.env['DATABASE_URL'];
const database = await startDevDatabase({
  migrationsDir: SHOP.migrationsDir,
  ...(url === undefined ? { dataDir: 'memory://' } : { databaseUrl: url }),
});
neonConfig.fetchEndpoint = () => database.endpoint;
const runtime = new Miniflare(workerOn(database));
try {
  await runtime.ready;
  const base = await runtime.unsafeGetDirectURL('millrace');
  const limits = [await plainRate()];
  const burst = await ingestRate(base);
  const single = await singleRate(base);
  const sustained = await endToEndRate(base);
  limits.push(await plainRate());
  const limit = median(limits);
  console.log(
    `plain inserts before and after: ${limits.map((rate) => rate.toFixed(0)).join(' and ')} events/s`,
  );
  console.log(`ingest (202): ${burst.toFixed(0)} events/s, ${(burst / limit).toFixed(2)} of the limit`);
  console.log(
    `single events (a request each, ${SINGLE_CONNECTIONS} at once), until stored, relayed and folded: ${single.rate.toFixed(0)} events/s in ${single.transactions} transactions for ${SINGLE_EVENTS} events`,
  );
  console.log(
    `end to end, ${seconds} s: ${sustained.toFixed(0)} events/s, ${(sustained / limit).toFixed(2)} of the limit`,
  );
} finally {
  await runtime.dispose();
  await database.close();
}

function workerOn(database: DevDatabase) {
  const worker = { ...millrace(database, 'dist/millrace', 'index.js'), name: 'millrace' };
  return convertV4MiniflareOptions({
    inspectorPort: 0,
    workers: [{ ...worker, queueConsumers: queueConsumers() }],
  });
}

/** The limit, with as many transactions at once as there are requests. */
async function plainRate(): Promise<number> {
  const client = neon(database.connectionString);
  const shop = new Purchases();
  const inserts = new PlainInserts(client);
  await preparePlainTables(client, tableNames(shop.next(TRANSACTION_EVENTS).map(storable)));
  let done = 0;
  let busyMs = 0;
  const until = performance.now() + PLAIN_SECONDS * 1_000;
  while (performance.now() < until) {
    const work = Array.from({ length: REQUESTS_AT_ONCE }, () =>
      inserts.prepare(shop.next(TRANSACTION_EVENTS).map(storable)),
    );
    const startedAt = performance.now();
    await Promise.all(work.map((insert) => insert()));
    busyMs += performance.now() - startedAt;
    done += work.length * TRANSACTION_EVENTS;
  }
  return (done / busyMs) * 1_000;
}

async function send(base: URL, events: readonly unknown[]): Promise<void> {
  for (;;) {
    const response = await fetch(new URL('/v1/events', base), {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/cloudevents-batch+json' },
      body: JSON.stringify(events),
    });
    const text = await response.text();
    if (response.status === 202) return;
    if (response.status !== 429 && response.status !== 503) throw new Error(`${response.status} ${text}`);
    await sleep(Number(response.headers.get('retry-after') ?? 1) * 1_000);
  }
}

async function stateOf(base: URL) {
  const headers = { authorization: `Bearer ${KEY}` };
  const response = await fetch(new URL('/v1/admin/pipeline', base), { headers });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const { events, outbox, features } = Pipeline.parse(await response.json());
  const folded = Object.values(features.folded).reduce((sum, count) => sum + count, 0);
  return { stored: events.stored, pending: outbox.pending, folded };
}

/** How fast requests are taken while the queue takes them: what is behind it goes on meanwhile. */
async function ingestRate(base: URL): Promise<number> {
  const startedAt = performance.now();
  let taken = 0;
  const until = startedAt + INGEST_SECONDS * 1_000;
  await Promise.all(
    Array.from({ length: REQUESTS_AT_ONCE }, async () => {
      while (performance.now() < until) {
        await send(base, purchases.next(REQUEST_EVENTS));
        taken += REQUEST_EVENTS;
      }
    }),
  );
  const rate = (taken / (performance.now() - startedAt)) * 1_000;
  await untilDone(base);
  return rate;
}

/** One request for each event, until all are stored, relayed and folded. */
async function singleRate(base: URL): Promise<{ rate: number; transactions: number }> {
  const client = neon(database.connectionString);
  const transactions = async () => {
    const [row] = await client`select count(distinct batch)::int as batches from millrace.events`;
    return z.object({ batches: z.int() }).parse(row).batches;
  };
  const events = purchases.next(SINGLE_EVENTS);
  const before = await transactions();
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: SINGLE_CONNECTIONS }, async () => {
      for (let event = events.pop(); event !== undefined; event = events.pop()) await send(base, [event]);
    }),
  );
  await untilDone(base);
  const elapsedS = (performance.now() - startedAt) / 1_000;
  return { rate: SINGLE_EVENTS / elapsedS, transactions: (await transactions()) - before };
}

/** Returns once everything that was sent is stored, relayed and folded. */
async function untilDone(base: URL): Promise<void> {
  const { stored, folded } = purchases.expected;
  for (;;) {
    const state = await stateOf(base);
    if (state.stored > stored || state.folded > folded)
      throw new Error(
        `More than was sent: ${JSON.stringify(state)}, not ${JSON.stringify(purchases.expected)}.`,
      );
    if (state.stored === stored && state.folded === folded && state.pending === 0) return;
    await sleep(POLL_MS);
  }
}

async function endToEndRate(base: URL): Promise<number> {
  const startedAt = performance.now();
  const before = purchases.expected.stored;
  let stored = before;
  let isOver = false;
  const memory = await watchMemory(await runtime.getInspectorURL(), 'millrace');
  const watching = (async () => {
    while (!isOver) {
      ({ stored } = await stateOf(base));
      await sleep(POLL_MS);
    }
  })();
  await Promise.all(
    Array.from({ length: REQUESTS_AT_ONCE }, async () => {
      while (performance.now() - startedAt < seconds * 1_000) {
        if (purchases.expected.stored - stored > WAITING_EVENTS_MAX) await sleep(20);
        else await send(base, purchases.next(REQUEST_EVENTS));
      }
    }),
  );
  isOver = true;
  await watching;
  await untilDone(base);
  const elapsedS = (performance.now() - startedAt) / 1_000;
  await memory.tell();
  return (purchases.expected.stored - before) / elapsedS;
}

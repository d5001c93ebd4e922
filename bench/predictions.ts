/**
 * Predictions over HTTP: the first answer of a fresh isolate, its first ten and warm ones; the requests of fresh isolates
 * that never pause, while the runtime starts; then warm predictions and rankings of 200 candidates at a steady rate,
 * beside requests without any work. `npm run bench:predictions [-- --isolates 20] [--seconds 15] [--rate 50]`;
 * `DATABASE_URL` names an empty Postgres in place of the embedded one.
 *
 * The isolates have the features, the registry and the models of one deployment, so only what an isolate keeps itself is
 * cold. A request without any work starts the script before, which the platform does too while a connection is opened.
 * Requests have the usual deadline of 100 ms. Beside each latency is the share of answers that a model gave; the
 * others are marked as degraded.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import * as z from 'zod';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { type DevDatabase, startDevDatabase } from '../scripts/dev/database.ts';
import { systemNow } from '../src/platform/clock.ts';
import { expectedSpendBundle, moodBundle } from '../test/support/models/outside.ts';
import { rankerBundle } from '../test/support/models/ranker.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { fillFeatures, purchaseOf } from './features/data.ts';
import { queueConsumers } from './support/queue-consumers.ts';
import { bundle, KEY, millrace } from './support/runtime.ts';

const { isolates, seconds, rate } = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:predictions',
    options: {
      isolates: { type: 'string', default: '20' },
      seconds: { type: 'string', default: '15' },
      rate: { type: 'string', default: '50' },
    },
  });
  return {
    isolates: wholeNumberOf('--isolates', values.isolates, { min: 1 }),
    seconds: wholeNumberOf('--seconds', values.seconds, { min: 1 }),
    rate: wholeNumberOf('--rate', values.rate, { min: 1 }),
  };
});

const CUSTOMERS = 300;
const CANDIDATES = Array.from({ length: 200 }, (_, index) => `S${index}`);
/** Requests of an isolate after the first ten. */
const WARM = 30;

/** Events that are followed to a prediction. */
const EVENTS = 100;
const POLL_MS = 5;
/**
 * After the last request of an isolate, until its runtime has started and loaded the model, in milliseconds. All isolates
 * of a local process share one thread, so a start would otherwise be measured with the next isolate.
 */
const SETTLED_MS = 1_500;
const GIVE_UP_MS = 30_000;

const Predicted = z.object({ value: z.number() });
const Answered = z.object({ source: z.string().optional(), degraded: z.string().nullish() });

interface Asked {
  readonly ms: number;
  /** `model`, or why another answer was given. */
  readonly how: string;
}

type Kind = 'prediction' | 'ranking';

async function ask(base: URL, kind: Kind, customer: number): Promise<Asked> {
  const [name, more] =
    kind === 'prediction' ? ['mood', { request: { hour: 9 } }] : ['ranker', { items: CANDIDATES }];
  const startedAt = performance.now();
  const response = await fetch(new URL(`/v1/predictions/${name}`, base), {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ key: `c${customer % CUSTOMERS}`, ...more }),
  });
  const text = await response.text();
  const ms = performance.now() - startedAt;
  if (response.status !== 200) return { ms, how: `${response.status} ${text.slice(0, 120)}` };
  const { source, degraded } = Answered.parse(JSON.parse(text));
  return { ms, how: source === 'model' ? 'model' : `${source}: ${degraded ?? '?'}` };
}

/** A request that touches nothing: it starts the script, which no deadline covers. */
async function live(base: URL): Promise<Asked> {
  const startedAt = performance.now();
  const response = await fetch(new URL('/health/live', base));
  await response.arrayBuffer();
  return { ms: performance.now() - startedAt, how: response.ok ? 'model' : String(response.status) };
}

function tell(what: string, asked: readonly Asked[]): void {
  const sorted = asked.map(({ ms }) => ms).sort((one, other) => one - other);
  const at = (share: number) =>
    (sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN).toFixed(1);
  const reasons = new Map<string, number>();
  for (const { how } of asked) reasons.set(how, (reasons.get(how) ?? 0) + 1);
  const byModel = ((reasons.get('model') ?? 0) / asked.length).toFixed(3);
  const others = [...reasons].filter(([how]) => how !== 'model').map(([how, count]) => `${count} ${how}`);
  console.log(
    `${what.padEnd(28)}${[at(0.5), at(0.99), at(1)].map((ms) => ms.padStart(9)).join('')}${String(asked.length).padStart(8)}${byModel.padStart(10)}  ${others.join('; ')}`,
  );
}

/** From an event of a purchase until the prediction of the customer counts it, polled. */
async function eventsToPredictions(base: URL): Promise<Asked[]> {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const predicted = async (key: string) => {
    const response = await fetch(new URL('/v1/predictions/expected-spend', base), {
      method: 'POST',
      headers,
      body: JSON.stringify({ key }),
    });
    return Predicted.parse(await response.json());
  };
  const asked: Asked[] = [];
  for (let index = 0; index < EVENTS; index += 1) {
    const key = `c${index}`;
    const { value } = await predicted(key);
    const startedAt = performance.now();
    const sent = await fetch(new URL('/v1/events', base), {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/cloudevents-batch+json' },
      body: JSON.stringify([purchaseOf(key, systemNow())]),
    });
    if (sent.status !== 202) throw new Error(`The event was not taken: ${sent.status} ${await sent.text()}`);
    await sent.arrayBuffer();
    while ((await predicted(key)).value === value) {
      if (performance.now() - startedAt > GIVE_UP_MS)
        throw new Error(`${key}: no prediction counts the event.`);
      await sleep(POLL_MS);
    }
    asked.push({ ms: performance.now() - startedAt, how: 'model' });
  }
  return asked;
}

function startRuntime(database: DevDatabase): Miniflare {
  const worker = millrace(database, 'dist/millrace', 'index.js');
  const remote = Object.fromEntries(
    Object.entries(worker.durableObjects).map(([binding, of]) => [binding, { ...of, scriptName: 'warm' }]),
  );
  const cold = Array.from({ length: isolates * 2 + 2 }, (_, index) => ({
    ...worker,
    name: `cold${index}`,
    durableObjects: remote,
  }));
  return new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      workers: [{ ...worker, name: 'warm', queueConsumers: queueConsumers() }, ...cold],
    }),
  );
}

async function publish(base: URL): Promise<void> {
  for (const [name, body] of [
    ['mood', await moodBundle()],
    ['expected-spend', await expectedSpendBundle()],
    ['ranker', rankerBundle({ popular: CANDIDATES.map((sku, index) => ({ sku, buyers: index + 1 })) })],
  ] as const) {
    const response = await fetch(new URL(`/v1/admin/models/${name}/champion`, base), {
      method: 'PUT',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok)
      throw new Error(`${name} was not published: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }
}

/** Requests at a steady rate, whether or not those before have their answers. */
async function steady(base: URL, kind: Kind | 'live'): Promise<Asked[]> {
  const startedAt = performance.now();
  const asked: Promise<Asked>[] = [];
  for (let index = 0; index < rate * seconds; index += 1) {
    const dueIn = startedAt + (index * 1_000) / rate - performance.now();
    if (dueIn > 0) await sleep(dueIn);
    asked.push(kind === 'live' ? live(base) : ask(base, kind, index));
  }
  return await Promise.all(asked);
}

bundle(FIXTURE.main, '--outdir', 'dist/millrace');
const { migrationsDir } = FIXTURE;
const databaseUrl = process.env['DATABASE_URL'];
const database = await startDevDatabase(
  databaseUrl === undefined ? { dataDir: 'memory://', migrationsDir } : { databaseUrl, migrationsDir },
);
const runtime = startRuntime(database);
try {
  await runtime.ready;
  const warm = await runtime.unsafeGetDirectURL('warm');
  await fillFeatures(warm, CUSTOMERS);
  await publish(warm);
  console.log(`${''.padEnd(28)}   p50 ms   p99 ms      max  number  by model`);
  for (const [offset, kind] of [
    [0, 'prediction'],
    [isolates, 'ranking'],
  ] as const) {
    const started: Asked[] = [];
    const first: Asked[] = [];
    const firstTen: Asked[] = [];
    const later: Asked[] = [];
    for (let index = 0; index < isolates; index += 1) {
      const base = await runtime.unsafeGetDirectURL(`cold${offset + index}`);
      started.push(await live(base));
      for (let request = 0; request < 10 + WARM; request += 1) {
        const one = await ask(base, kind, index * 41 + request);
        if (request === 0) first.push(one);
        if (request < 10) firstTen.push(one);
        else later.push(one);
      }
      await sleep(SETTLED_MS);
    }
    tell('start of the script', started);
    tell(`${kind}, first`, first);
    tell(`${kind}, first ten`, firstTen);
    tell(`${kind}, then ${WARM}`, later);
  }
  for (const [index, kind] of (['prediction', 'ranking'] as const).entries()) {
    const base = await runtime.unsafeGetDirectURL(`cold${isolates * 2 + index}`);
    await live(base);
    tell(`${kind}, no pause since first`, await steady(base, kind));
    await sleep(SETTLED_MS);
  }
  tell('event to prediction', await eventsToPredictions(warm));
  tell(`no work, ${rate} a second`, await steady(warm, 'live'));
  for (const kind of ['prediction', 'ranking'] as const) {
    for (let request = 0; request < CUSTOMERS; request += 1) await ask(warm, kind, request);
    await sleep(SETTLED_MS);
    tell(`${kind}, ${rate} a second`, await steady(warm, kind));
  }
} finally {
  await runtime.dispose();
  await database.close();
}

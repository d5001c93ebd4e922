/**
 * Predictions over HTTP: the first answer of a fresh isolate, its first ten and warm ones; then warm predictions and
 * rankings of 200 candidates at a steady rate. `npm run bench:predictions [-- --isolates 20] [--seconds 15] [--rate 50]`;
 * `DATABASE_URL` names an empty Postgres in place of the embedded one.
 *
 * The isolates have the features, the registry and the models of one deployment, so only what an isolate keeps itself is
 * cold. Requests have the usual deadline of 100 ms. Beside each latency is the share of answers that a model gave; the
 * others are marked as degraded.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import * as z from 'zod';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { type DevDatabase, startDevDatabase } from '../scripts/dev/database.ts';
import { expectedSpendBundle } from '../test/support/models/outside.ts';
import { rankerBundle } from '../test/support/models/ranker.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { fillFeatures } from './features/data.ts';
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

const Answered = z.object({ source: z.string().optional(), degraded: z.string().nullish() });

interface Asked {
  readonly ms: number;
  /** `model`, or why another answer was given. */
  readonly how: string;
}

type Kind = 'prediction' | 'ranking';

async function ask(base: URL, kind: Kind, customer: number): Promise<Asked> {
  const [name, more] = kind === 'prediction' ? ['expected-spend', {}] : ['ranker', { items: CANDIDATES }];
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

function startRuntime(database: DevDatabase): Miniflare {
  const worker = millrace(database, 'dist/millrace', 'index.js');
  const remote = Object.fromEntries(
    Object.entries(worker.durableObjects).map(([binding, of]) => [binding, { ...of, scriptName: 'warm' }]),
  );
  const cold = Array.from({ length: isolates * 2 }, (_, index) => ({
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
async function steady(base: URL, kind: Kind): Promise<Asked[]> {
  const startedAt = performance.now();
  const asked: Promise<Asked>[] = [];
  for (let index = 0; index < rate * seconds; index += 1) {
    const dueIn = startedAt + (index * 1_000) / rate - performance.now();
    if (dueIn > 0) await sleep(dueIn);
    asked.push(ask(base, kind, index));
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
    const first: Asked[] = [];
    const firstTen: Asked[] = [];
    const later: Asked[] = [];
    for (let index = 0; index < isolates; index += 1) {
      const base = await runtime.unsafeGetDirectURL(`cold${offset + index}`);
      for (let request = 0; request < 10 + WARM; request += 1) {
        const one = await ask(base, kind, index * 41 + request);
        if (request === 0) first.push(one);
        if (request < 10) firstTen.push(one);
        else later.push(one);
      }
    }
    tell(`${kind}, first`, first);
    tell(`${kind}, first ten`, firstTen);
    tell(`${kind}, then ${WARM}`, later);
  }
  for (const kind of ['prediction', 'ranking'] as const) {
    for (let request = 0; request < CUSTOMERS; request += 1) await ask(warm, kind, request);
    tell(`${kind}, ${rate} a second`, await steady(warm, kind));
  }
} finally {
  await runtime.dispose();
  await database.close();
}

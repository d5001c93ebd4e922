/**
 * What the read of a key costs that no tier has, and what a write costs: `npm run bench:fill [-- <keys>]`.
 * The built worker, once for each set of tiers, and a worker without a cache run in one runtime and in turns. The local
 * platform's Cache API and KV are programs with files on disk in the same process, so the fills of a worker without them
 * show what Millrace itself takes. `DATABASE_URL` takes a real Postgres instead of the embedded one, and has to be empty.
 */
import { readFileSync } from 'node:fs';
import { Agent, request as send } from 'node:http';
import { neon, neonConfig } from '@neondatabase/serverless';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { startDevDatabase } from '../scripts/dev/database.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { cpuSeconds, median } from './support/load.ts';
import { bundle, COMMON, KEY, millrace, modulesOf, runtimePids } from './support/runtime.ts';

const KEYS = readOrExit(() => {
  const { positionals } = readOptions({ command: 'npm run bench:fill', positionalsMax: 1, options: {} });
  return wholeNumberOf('The number of keys', positionals[0] ?? '300', { min: 1 });
});
const ROUNDS = 5;
const WRITES = 60;
/** Reads at a time. Writes go one after the other: their time is measured, not their throughput. */
const CONNECTIONS = 8;

interface Answer {
  readonly status: number;
  readonly cache: string;
  readonly token: string;
  readonly ms: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

function ask(url: URL, method: string, headers: Record<string, string>, body?: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const startedAt = performance.now();
  const asked = send(url, { method, agent, headers }, (answer) => {
    const text = (name: string) => String(answer.headers[name] ?? '');
    answer.resume();
    answer.on('error', reject);
    answer.on('end', () => {
      const { statusCode: status = 0 } = answer;
      if (status >= 300) reject(new Error(`${method} ${url.pathname} answered ${status}.`));
      const ms = performance.now() - startedAt;
      resolve({ status, cache: text('cache-status'), token: text('millrace-token'), ms });
    });
  });
  asked.on('error', reject);
  asked.end(body);
  return promise;
}

/** Each worker reads keys of its own: the local platform gives all workers one Cache API and one KV. */
const skuOf = (series: string, index: number) => `${series}K${index}`;

/** Reads each key once. Every answer has to match `cache`, so that the bench measures what it says. */
async function readAll(origin: URL, series: string, cache: RegExp, headers = {}): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const reader = async () => {
    for (let index = next++; index < KEYS; index = next++) {
      const answer = await ask(new URL(`/v1/products/${skuOf(series, index)}`, origin), 'GET', headers);
      if (!cache.test(answer.cache)) throw new Error(`Another answer than measured: ${answer.cache}`);
      answers.push(answer);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, reader));
  return answers;
}

async function writeAll(origin: URL, series: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  for (let index = 0; index < Math.min(WRITES, KEYS); index += 1) {
    const body = JSON.stringify({ description: `Written in ${series}`, unitPrice: index + 1 });
    answers.push(await ask(new URL(`/v1/products/${skuOf(series, index)}`, origin), 'PUT', headers, body));
  }
  return answers;
}

interface Cost {
  readonly cpuMs: number;
  readonly p50Ms: number;
  /** What the process's memory grew by, in kilobytes a request. */
  readonly grownKb: number;
}

async function costOf(pid: number, work: () => Promise<Answer[]>): Promise<Cost> {
  const [cpuBefore, kbBefore] = [cpuSeconds(pid), residentKb(pid)];
  const answers = await work();
  const perRequest = (amount: number) => amount / answers.length;
  return {
    cpuMs: perRequest((cpuSeconds(pid) - cpuBefore) * 1_000),
    p50Ms: median(answers.map(({ ms }) => ms)),
    grownKb: perRequest(residentKb(pid) - kbBefore),
  };
}

function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 'NaN');
}

/** Makes every entry of the view stale; readers with the returned token know it. */
async function purge(origin: URL): Promise<string> {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ view: 'product' });
  return (await ask(new URL('/v1/admin/cache/purge', origin), 'POST', headers, body)).token;
}

/** The tiers of each measured worker. The last one has all; its keys are filled again after a purge, and written. */
const TIERS = {
  memory: ['memory'],
  default: ['memory', 'colo'],
  all: ['memory', 'colo', 'kv'],
} as const;
for (const [name, tiers] of Object.entries(TIERS))
  bundle(
    'bench/tiers-worker.ts',
    '--outdir',
    `dist/tiers-${name}`,
    '--define',
    `TIERS:${JSON.stringify(tiers)}`,
  );
bundle('bench/origin-worker.ts', '--config', 'bench/empty.toml', '--outdir', 'dist/origin');
const url = process.env['DATABASE_URL'];
const { migrationsDir } = FIXTURE;
const database = await startDevDatabase(
  url === undefined ? { dataDir: 'memory://', migrationsDir } : { databaseUrl: url, migrationsDir },
);
const runtime = new Miniflare(
  convertV4MiniflareOptions({
    workers: [
      ...Object.keys(TIERS).map((name) => ({
        ...millrace(database, `dist/tiers-${name}`, 'tiers-worker.js'),
        name,
      })),
      {
        ...COMMON,
        ...modulesOf('dist/origin', 'origin-worker.js'),
        name: 'origin',
        bindings: { DATABASE_URL: database.connectionString, DATABASE_ENDPOINT: database.endpoint },
      },
    ],
  }),
);
try {
  neonConfig.fetchEndpoint = () => database.endpoint;
  const sql = neon(database.connectionString);
  const seriesOf = (round: number, name: string) => `R${round}${name}`;
  const series = Array.from({ length: ROUNDS + 1 }, (_, round) =>
    Object.keys(TIERS).map((name) => seriesOf(round, name)),
  ).flat();
  for (const one of series)
    await sql`insert into products (sku, description, unit_price)
      select ${`${one}K`} || i, 'A description of thirty-four chars', 2.95 from generate_series(0, ${KEYS - 1}::int) i`;
  await runtime.ready;
  const pid = runtimePids().at(-1);
  if (pid === undefined) throw new Error('There is no runtime.');
  const [memory, usual, all, bare] = await Promise.all(
    ['memory', 'default', 'all', 'origin'].map((name) => runtime.unsafeGetDirectURL(name)),
  );
  if (memory === undefined || usual === undefined || all === undefined || bare === undefined)
    throw new Error('A worker has no address.');
  const costs: Record<string, Cost[]> = {};
  for (let round = 0; round <= ROUNDS; round += 1) {
    const measure = async (name: string, work: () => Promise<Answer[]>) => {
      const cost = await costOf(pid, work);
      // The first round warms the code up.
      if (round > 0) costs[name] = [...(costs[name] ?? []), cost];
    };
    await measure('read without a cache', () => readAll(bare, seriesOf(round, 'all'), /^$/));
    await measure('fill, isolate memory alone', () =>
      readAll(memory, seriesOf(round, 'memory'), /fwd=uri-miss/),
    );
    await measure('fill, and the Cache API', () =>
      readAll(usual, seriesOf(round, 'default'), /fwd=uri-miss/),
    );
    await measure('fill, and KV', () => readAll(all, seriesOf(round, 'all'), /fwd=uri-miss/));
    const token = await purge(all);
    await measure('fill of a stale key, and KV', () =>
      readAll(all, seriesOf(round, 'all'), /fwd=stale/, { 'millrace-token': token }),
    );
    await measure('bare upsert', () => writeAll(bare, seriesOf(round, 'all')));
    await measure('PUT', () => writeAll(all, seriesOf(round, 'all')));
  }
  console.log(
    `${'medians of rounds'.padEnd(40)}${'CPU ms'.padStart(10)}${'p50 ms'.padStart(10)}${'kB'.padStart(10)}`,
  );
  for (const [name, rounds] of Object.entries(costs)) {
    const of = (pick: (cost: Cost) => number) => median(rounds.map(pick)).toFixed(2).padStart(10);
    console.log(
      `${name.padEnd(40)}${of(({ cpuMs }) => cpuMs)}${of(({ p50Ms }) => p50Ms)}${of(({ grownKb }) => grownKb)}`,
    );
  }
} finally {
  agent.destroy();
  await runtime.dispose();
  await database.close();
}

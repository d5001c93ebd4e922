/**
 * A warm hit in isolate memory against an empty Hono route, in one runtime and in turns: `npm run bench:hit`.
 * Both workers are the bundles that `wrangler deploy` would upload, each on a socket of its own, without the
 * local platform's proxy in front.
 */
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { startDevDatabase } from '../scripts/dev/database.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { load, median, type Round, type Target } from './support/load.ts';
import { bundle, COMMON, KEY, millrace, modulesOf, runtimePids } from './support/runtime.ts';

const ROUNDS = 8;
const ROUND_SECONDS = 2;
const CONNECTIONS = 16;
const SKU = '85123A';

function workersOf(database: { connectionString: string; endpoint: string }): Miniflare {
  const options = convertV4MiniflareOptions({
    workers: [
      { ...millrace(database, 'dist/millrace', 'index.js'), name: 'millrace' },
      { ...COMMON, name: 'empty', ...modulesOf('dist/empty', 'empty-worker.js') },
    ],
  });
  return new Miniflare(options);
}

bundle(FIXTURE.main, '--outdir', 'dist/millrace');
bundle('--config', 'bench/empty.toml', '--outdir', '../dist/empty');
const database = await startDevDatabase({ dataDir: 'memory://', migrationsDir: FIXTURE.migrationsDir });
const runtime = workersOf(database);
try {
  await runtime.ready;
  const pid = runtimePids().at(-1);
  if (pid === undefined) throw new Error('There is no runtime.');
  const at = async (worker: string, path: string): Promise<Target> => ({
    url: new URL(path, await runtime.unsafeGetDirectURL(worker)),
    pid,
  });
  const hit = await at('millrace', `/v1/products/${SKU}`);
  const empty = await at('empty', '/');
  const put = await fetch(hit.url, {
    method: 'PUT',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      description: 'A description of thirty-four chars',
      unitPrice: 2.95,
    }),
  });
  if (put.status !== 201) throw new Error(`The product was not written: ${put.status} ${await put.text()}`);
  for (const target of [hit, empty]) await load(target, CONNECTIONS, ROUND_SECONDS);
  const rounds: { hit: Round; empty: Round }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push({
      hit: await load(hit, CONNECTIONS, ROUND_SECONDS),
      empty: await load(empty, CONNECTIONS, ROUND_SECONDS),
    });
  }
  const proof = await fetch(hit.url);
  console.log(`cache-status of the measured route: ${proof.headers.get('cache-status')}`);
  const row = (name: string, pick: (round: { hit: Round; empty: Round }) => number) =>
    console.log(`${name.padEnd(44)} ${median(rounds.map(pick)).toFixed(2).padStart(12)}`);
  row('empty Hono route, requests/s', ({ empty: { requestsPerSecond } }) => requestsPerSecond);
  row('warm hit, requests/s', ({ hit: { requestsPerSecond } }) => requestsPerSecond);
  row('empty Hono route, CPU µs a request', ({ empty: { cpuMicrosPerRequest } }) => cpuMicrosPerRequest);
  row('warm hit, CPU µs a request', ({ hit: { cpuMicrosPerRequest } }) => cpuMicrosPerRequest);
  row('throughput, hit / empty', (round) => round.hit.requestsPerSecond / round.empty.requestsPerSecond);
  row(
    'CPU a request, hit / empty',
    (round) => round.hit.cpuMicrosPerRequest / round.empty.cpuMicrosPerRequest,
  );
} finally {
  await runtime.dispose();
  await database.close();
}

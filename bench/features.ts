/**
 * Reads of online features over HTTP: 1, 10, 50 and 100 keys with 20 and with 50 features, beside Feast's own server over
 * Redis, in turns and with the same values. `npm run bench:features [-- --rounds 3] [--seconds 4] [--keys 1000]`.
 *
 * It needs wrk. Without `FEAST_PYTHON` (a folder with what `bench/features/requirements.txt` names) or without
 * `redis-server` it measures Millrace alone, and says so.
 *
 * One connection sends one request after the other, so no request waits for another and a latency is that of the server.
 * The p99 of fewer than a few hundred requests is nearly their maximum; the table has how many there were.
 */
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { startDevDatabase } from '../scripts/dev/database.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { fillFeatures, NAMES, readAll } from './features/data.ts';
import { startFeast } from './features/feast.ts';
import { median } from './support/load.ts';
import { start } from './support/product-server.ts';
import { queueConsumers } from './support/queue-consumers.ts';
import { bundle, KEY, millrace } from './support/runtime.ts';
import { driveByScript, type WrkResult } from './support/wrk.ts';

const { rounds, seconds, keys } = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:features',
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '4' },
      keys: { type: 'string', default: '1000' },
    },
  });
  return {
    rounds: wholeNumberOf('--rounds', values.rounds, { min: 1 }),
    seconds: wholeNumberOf('--seconds', values.seconds, { min: 1 }),
    keys: wholeNumberOf('--keys', values.keys, { min: 100 }),
  };
});

const SIZES = [1, 10, 50, 100];
const WIDTHS = [20, 50];
/** Reads whose `Cache-Status` is counted. */
const SAMPLE = 200;

interface Peer {
  readonly name: 'millrace' | 'feast';
  readonly url: URL;
  readonly key: string;
}

async function drive({ name, url, key }: Peer, size: number, width: number, seed: number) {
  const names = NAMES.slice(0, width).join(',');
  return await driveByScript('features.lua', url, { connections: 1, seconds }, [
    ...[url.pathname, key, name, String(size), names, String(keys), String(seed)],
  ]);
}

/** The share of reads of 100 keys that ask no shard. */
async function memoryShare(url: URL): Promise<number> {
  let hits = 0;
  for (let index = 0; index < SAMPLE; index += 1) {
    const first = (index * 37) % keys;
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        entity: 'customer',
        keys: Array.from({ length: 100 }, (_, offset) => `c${(first + offset) % keys}`),
        features: NAMES,
      }),
    });
    await response.arrayBuffer();
    if (/; hit/.test(response.headers.get('cache-status') ?? '')) hits += 1;
  }
  return hits / SAMPLE;
}

/** Prints a line for each size and width; the peers take turns. */
async function printTable(peers: readonly Peer[]): Promise<void> {
  const heading = peers.map(({ name }) => `${name}: p50 ms      p99 ms   requests`.padStart(38)).join('');
  console.log(`${'keys × features'.padEnd(18)}${heading}`);
  for (const width of WIDTHS)
    for (const size of SIZES) {
      const results = new Map<Peer, WrkResult[]>(peers.map((peer) => [peer, []]));
      // The first round warms up.
      for (let round = 0; round <= rounds; round += 1)
        for (const peer of peers) {
          const result = await drive(peer, size, width, round + 1);
          if (round > 0) results.get(peer)?.push(result);
        }
      const columns = [...results.values()].map((all) => {
        const p50 = median(all.map(({ p50Us }) => p50Us / 1_000)).toFixed(2);
        const p99 = median(all.map(({ p99Us }) => p99Us / 1_000)).toFixed(2);
        const requests = all.reduce((sum, one) => sum + one.requests, 0);
        return `${p50.padStart(16)}${p99.padStart(12)}${String(requests).padStart(10)}`;
      });
      console.log(`${`${size} × ${width}`.padEnd(18)}${columns.join('')}`);
    }
}

bundle('bench/features-worker.ts', '--outdir', 'dist/features');
const { migrationsDir } = FIXTURE;
const databaseUrl = process.env['DATABASE_URL'];
const database = await startDevDatabase(
  databaseUrl === undefined ? { dataDir: 'memory://', migrationsDir } : { databaseUrl, migrationsDir },
);
const server = await start(
  { ...millrace(database, 'dist/features', 'features-worker.js'), queueConsumers: queueConsumers() },
  '/v1/features/read',
);
try {
  await fillFeatures(server.url, keys);
  const rows = await readAll(server.url, keys, NAMES);
  const feast = await startFeast(NAMES, rows);
  try {
    const peers: Peer[] = [{ name: 'millrace', url: server.url, key: KEY }];
    if (typeof feast === 'string') console.log(`Feast is not measured: ${feast}`);
    else peers.push({ name: 'feast', url: feast.url, key: '-' });
    console.log(`${keys} keys; one connection, medians of ${rounds} rounds of ${seconds} s`);
    await printTable(peers);
    console.log(`reads of 100 keys that asked no shard: ${(await memoryShare(server.url)).toFixed(2)}`);
  } finally {
    if (typeof feast !== 'string') await feast.stop();
  }
} finally {
  await server.stop();
  await database.close();
}

/**
 * A warm hit in isolate memory against an empty Hono route: `npm run bench:hit`. Each worker is the bundle that
 * `wrangler deploy` would upload, in a process of its own, on a socket without the local platform's proxy in front.
 * The two are measured in turns. `--keys` is how many products are read, by Zipf's law. `--expiry` measures instead how
 * throughput varies while entries that were filled together come to their end. `--key` measures hits of readers with a key:
 * they are authenticated, charged to the budget of the key, and counted. `--memory` leaves the Cache API and KV out of fills:
 * the local platform's are programs with files on disk in the process that is measured. `--traced` compares instead the same
 * worker without tracing, with tracing that keeps no trace, and with one that keeps a trace in a hundred.
 */
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { seededRandom } from '../src/platform/random.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { printExpiry } from './support/expiry.ts';
import { type Generator, generator, median, type Round, type Target, ZIPF_EXPONENT } from './support/load.ts';
import { createKey, emptyServer, fillAhead, productServer } from './support/product-server.ts';
import { printTraced } from './support/traced.ts';
import { zipf } from './support/zipf.ts';

const { keys, rounds, expiry, withKey, inMemory, traced } = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:hit',
    options: {
      keys: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '8' },
      expiry: { type: 'boolean', default: false },
      key: { type: 'boolean', default: false },
      memory: { type: 'boolean', default: false },
      traced: { type: 'boolean', default: false },
    },
  });
  return {
    keys: wholeNumberOf('--keys', values.keys, { min: 1 }),
    rounds: wholeNumberOf('--rounds', values.rounds, { min: 1 }),
    expiry: values.expiry,
    withKey: values.key,
    inMemory: values.memory,
    traced: values.traced,
  };
});
const ROUND_SECONDS = 3;
const CONNECTIONS = 32;
/**
 * Requested once each before the rounds: about as many as an isolate's memory holds, which takes minutes. Of more keys the
 * rounds fill those that memory does not have.
 */
const FILLED_AHEAD_MAX = 40_000;
/** Requests whose `Cache-Status` is read after the rounds. */
const SAMPLE = 2_000;

/** The share of hits in isolate memory among requests of the same law. */
async function memoryShare(url: URL, apiKey: string | undefined): Promise<number> {
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const draw = zipf(keys, ZIPF_EXPONENT, seededRandom(7));
  let hits = 0;
  for (let index = 0; index < SAMPLE; index += 1) {
    const response = await fetch(url.href + draw(), { headers });
    await response.arrayBuffer();
    if (/; hit; .*detail=memory/.test(response.headers.get('cache-status') ?? '')) hits += 1;
  }
  return hits / SAMPLE;
}

interface Pair {
  readonly hit: Round;
  readonly empty: Round;
}

async function measure(drive: Generator, hit: Target, empty: Target): Promise<Pair[]> {
  const load = (seed: number) => ({ connections: CONNECTIONS, seconds: ROUND_SECONDS, seed });
  for (const target of [hit, empty]) await drive(target, load(0));
  const pairs: Pair[] = [];
  for (let round = 1; round <= rounds; round += 1)
    pairs.push({ hit: await drive(hit, load(round)), empty: await drive(empty, load(round)) });
  return pairs;
}

function print(pairs: readonly Pair[]): void {
  const row = (name: string, pick: (round: Round) => number, digits: number) => {
    const of = (values: number[]) => median(values).toFixed(digits).padStart(12);
    const empty = of(pairs.map((pair) => pick(pair.empty)));
    const hit = of(pairs.map((pair) => pick(pair.hit)));
    const ratio = median(pairs.map((pair) => pick(pair.hit) / pick(pair.empty)));
    console.log(`${name.padEnd(20)}${empty}${hit}${ratio.toFixed(2).padStart(14)}`);
  };
  console.log(
    `${''.padEnd(20)}${'empty route'.padStart(12)}${'warm hit'.padStart(12)}${'hit / empty'.padStart(14)}`,
  );
  row('requests/s', ({ requestsPerSecond }) => requestsPerSecond, 0);
  row('CPU µs a request', ({ cpuMicrosPerRequest }) => cpuMicrosPerRequest, 1);
  row('waited for a core', ({ waitedShare }) => waitedShare, 2);
  row('p50 ms', ({ p50Ms }) => p50Ms, 2);
  row('p99 ms', ({ p99Ms }) => p99Ms, 2);
}

async function printHits(drive: Generator): Promise<void> {
  console.log(`${keys} keys, Zipf's law with exponent ${ZIPF_EXPONENT}`);
  const main = withKey ? 'bench/keyed-worker.ts' : FIXTURE.main;
  const server = inMemory
    ? await productServer('bench/tiers-worker.ts', keys, ['--define', 'TIERS:["memory"]'])
    : await productServer(main, keys);
  try {
    const empty = await emptyServer();
    try {
      const apiKey = withKey ? await createKey(server.url) : undefined;
      await fillAhead(server.url, Math.min(keys, FILLED_AHEAD_MAX), apiKey);
      const hit = { ...server, keys, ...(apiKey === undefined ? {} : { apiKey }) };
      print(await measure(drive, hit, { ...empty, keys: 0 }));
      console.log(`share of hits in isolate memory: ${(await memoryShare(server.url, apiKey)).toFixed(3)}`);
    } finally {
      await empty.stop();
    }
  } finally {
    await server.stop();
  }
}

const { name, drive } = generator();
console.log(`driven by ${name}; ${CONNECTIONS} connections`);
await (traced ? printTraced(drive, { keys, rounds }) : expiry ? printExpiry(drive) : printHits(drive));

/**
 * How long after an invalidation is acknowledged readers still get the old answer:
 * `npm run bench:lag [-- <writes>]`. Once through the built worker, whose one isolate is read from many
 * connections, and once with the real followers of several isolates in several regions, played by this process
 * over the real objects. Both with pushes and without: there the regions' objects ignore what they receive.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { startDevDatabase } from '../scripts/dev/database.ts';
import type { Token } from '../src/cache/clock/clock.ts';
import { ClockFollower, type FollowerContext } from '../src/cache/clock/follower.ts';
import { decodeAnswer } from '../src/cache/clock/wire.ts';
import { systemTime } from '../src/platform/clock.ts';
import { REGIONS, type Region } from '../src/platform/regions.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { ProductReaders } from './support/product-readers.ts';
import { bundle, KEY, millrace } from './support/runtime.ts';

const WRITES = readOrExit(() => {
  const { positionals } = readOptions({ command: 'npm run bench:lag', positionalsMax: 1, options: {} });
  return wholeNumberOf('The number of writes', positionals[0] ?? '1000', { min: 1 });
});
const SKU = '85123A';
const CONNECTIONS = 16;
/** Between two reads of one connection: without it the two cores are busy, and the bench measures their queue. */
const READ_PAUSE_MS = 4;
const PLAYED_REGIONS: readonly Region[] = REGIONS.slice(0, 3);
/** Few enough that a region lets them ask every 50 ms: above 10 it asks them to wait longer (pace.ts). */
const ISOLATES_PER_REGION = 8;
const ISOLATE_READ_MS = 4;
/** As the default of a view. */
const BOUND_MS = 2_000;
/** Longer than any interval of the followers, so that writes fall anywhere within them. */
const PAUSE_MS_MAX = 120;
const GIVE_UP_MS = 10_000;

function printLags(name: string, lagsMs: readonly number[]): void {
  const sorted = [...lagsMs].sort((a, b) => a - b);
  const at = (part: number) => (sorted[Math.ceil(part * sorted.length) - 1] ?? Number.NaN).toFixed(1);
  const cells = [String(sorted.length), at(0.5), at(0.9), at(0.99), at(1)];
  console.log(`${name.padEnd(52)}${cells.map((cell) => cell.padStart(10)).join('')}`);
}

const randomPause = () => sleep(Math.random() * PAUSE_MS_MAX);

async function put(url: URL, version: number): Promise<void> {
  const answer = await fetch(url, {
    method: 'PUT',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ description: 'A product', unitPrice: version }),
  });
  if (!answer.ok) throw new Error(`The product was not written: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}

/** One write: the time from its answer to the beginning of the last read that was given an older version. */
async function productLag(url: URL, readers: ProductReaders, version: number): Promise<number> {
  const { promise: known, resolve } = Promise.withResolvers<void>();
  let ackedAtMs = Number.POSITIVE_INFINITY;
  let lastOldAtMs = Number.NEGATIVE_INFINITY;
  const fresh = new Set<number>();
  const stop = readers.onAnswer((connection, beganAtMs, got) => {
    if (beganAtMs < ackedAtMs) return;
    if (got < version) lastOldAtMs = Math.max(lastOldAtMs, beganAtMs);
    else if (fresh.add(connection).size === CONNECTIONS) resolve();
  });
  try {
    await put(url, version);
    ackedAtMs = performance.now();
    await Promise.race([
      systemTime.withTimeout(known, GIVE_UP_MS, () => new Error(`Version ${version} never came.`)),
      readers.failed,
    ]);
    return Math.max(0, lastOldAtMs - ackedAtMs);
  } finally {
    stop();
  }
}

async function measureWorker(base: URL, name: string): Promise<void> {
  const url = new URL(`/v1/products/${SKU}`, base);
  await put(url, 1);
  const readers = new ProductReaders(url, CONNECTIONS, READ_PAUSE_MS);
  const startedAt = performance.now();
  const lags: number[] = [];
  try {
    for (let write = 0; write < WRITES; write += 1) {
      await randomPause();
      lags.push(await productLag(url, readers, write + 2));
    }
  } finally {
    readers.stop();
  }
  printLags(`worker, ${name}`, lags);
  const perSecond = (readers.reads * 1_000) / (performance.now() - startedAt);
  console.log(`  ${perSecond.toFixed(0)} bounded reads a second on ${CONNECTIONS} connections`);
}

/** An isolate as services.ts ties it, with a call to its region's object over HTTP. */
class PlayedIsolate {
  readonly #follower = new ClockFollower(systemTime);
  readonly #context: FollowerContext;
  /** When the last read began whose mirror did not have `awaited` yet. */
  lastOldAtMs = Number.NEGATIVE_INFINITY;
  awaited: Token | undefined;
  knows = false;

  constructor(base: URL, region: Region) {
    this.#context = {
      keepAlive: () => undefined,
      parent: {
        sync: async (request) => {
          const url = new URL(`/bench/sync/${region}`, base);
          const answer = await fetch(url, { method: 'POST', body: JSON.stringify(request) });
          if (!answer.ok) throw new Error(`The region does not answer: ${answer.status}`);
          return decodeAnswer(await answer.bytes(), request.epoch);
        },
      },
    };
  }

  async read(): Promise<void> {
    const beganAtMs = performance.now();
    const { awaited } = this;
    const need = { maxAgeMs: BOUND_MS, atLeast: undefined };
    await this.#follower.ensure(need, this.#follower.begin(), this.#context);
    if (awaited === undefined || awaited !== this.awaited) return;
    if (this.#follower.mirror.clock.seq >= awaited.seq) this.knows = true;
    else this.lastOldAtMs = Math.max(this.lastOldAtMs, beganAtMs);
  }
}

async function measureIsolates(base: URL, name: string): Promise<void> {
  const isolates = PLAYED_REGIONS.map((region) =>
    Array.from({ length: ISOLATES_PER_REGION }, () => new PlayedIsolate(base, region)),
  );
  const all = isolates.flat();
  const failures: unknown[] = [];
  const reading = setInterval(() => {
    for (const isolate of all) isolate.read().catch((error: unknown) => failures.push(error));
  }, ISOLATE_READ_MS);
  const isolateLags: number[] = [];
  const regionLags: number[] = [];
  try {
    for (let write = 0; write < WRITES; write += 1) {
      await randomPause();
      const answer = await fetch(new URL('/bench/invalidate', base), { method: 'POST', body: '[1,2,3,4,5]' });
      const token: Token = await answer.json();
      const ackedAtMs = performance.now();
      for (const isolate of all)
        Object.assign(isolate, { awaited: token, knows: false, lastOldAtMs: Number.NEGATIVE_INFINITY });
      while (!all.every(({ knows }) => knows)) {
        if (failures.length > 0) throw new AggregateError(failures, 'A sync failed.');
        if (performance.now() - ackedAtMs > GIVE_UP_MS) throw new Error('An isolate never came to know.');
        await sleep(1);
      }
      for (const region of isolates) {
        const lags = region.map(({ lastOldAtMs }) => Math.max(0, lastOldAtMs - ackedAtMs));
        isolateLags.push(...lags);
        regionLags.push(Math.min(...lags));
      }
    }
  } finally {
    clearInterval(reading);
  }
  printLags(`first isolate of each of ${isolates.length} regions, ${name}`, regionLags);
  printLags(`each of ${all.length} isolates, ${name}`, isolateLags);
}

bundle('bench/lag-worker.ts', '--outdir', 'dist/lag');
const columns = ['samples', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms'].map((text) => text.padStart(10)).join('');
console.log(`${'From the acknowledgement to the last old read'.padEnd(52)}${columns}`);
for (const [name, className] of [
  ['with push', 'TagClock'],
  ['without push', 'TagClockWithoutPush'],
] as const) {
  const database = await startDevDatabase({ dataDir: 'memory://', migrationsDir: FIXTURE.migrationsDir });
  const worker = millrace(database, 'dist/lag', 'lag-worker.js');
  const durableObjects = { ...worker.durableObjects, TAG_CLOCK: { className, useSQLite: true } };
  const runtime = new Miniflare(
    convertV4MiniflareOptions({ workers: [{ ...worker, durableObjects, name: 'millrace' }] }),
  );
  try {
    await runtime.ready;
    const base = await runtime.unsafeGetDirectURL('millrace');
    await measureWorker(base, name);
    await measureIsolates(base, name);
  } finally {
    await runtime.dispose();
    await database.close();
  }
}

/**
 * What placement costs and saves: `npm run bench:placement`. Three regions on one machine, an isolate in each, with the
 * distance between regions added to every call of an object and every statement (`placement-worker.ts`).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { startDevDatabase } from '../scripts/dev/database.ts';
import type { RequestPlace } from '../src/platform/regions.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { bundle, emptyModules, KEY, millrace } from './support/runtime.ts';

const { samples: SAMPLES, trips: ROUND_TRIPS_MS } = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:placement',
    options: {
      samples: { type: 'string', default: '11' },
      'round-trip': { type: 'string', default: '10,80,200' },
    },
  });
  const trip = (text: string) => wholeNumberOf('--round-trip', text, { min: 1 });
  return {
    samples: wholeNumberOf('--samples', values.samples, { min: 1 }),
    trips: values['round-trip'].split(',').map(trip),
  };
});

const DATABASE = 'enam';
/** Where the objects are that have no hint: the first request came from there. */
const FIRST_USE = 'apac';
const READER = 'weur';
/** The platform chooses where a batch runs; here it is beside nothing. */
const CONSUMER = 'weur';
/** The requests of each region. */
const PLACES = {
  enam: { continent: 'NA', country: 'US', longitude: '-74.0' },
  apac: { continent: 'AS', country: 'JP', longitude: '139.7' },
  weur: { continent: 'EU', country: 'GB', longitude: '-0.1' },
} as const satisfies Readonly<Record<string, RequestPlace>>;
type Place = keyof typeof PLACES;
/** Keeps the mirror of an isolate as young as it is in an isolate with readers. */
const BACKGROUND_READ_MS = 50;
const POLL_MS = 5;
const GIVE_UP_MS = 60_000;
const FOLDER = 'dist/placement';

/** `moved`: objects are placed, and the whole worker runs beside the database, as `[placement]` of the platform has it. */
const VARIANTS = ['unplaced', 'placed', 'moved'] as const;
type Variant = (typeof VARIANTS)[number];
const ACTIONS = ['warm read', 'cold read', 'write', 'event to fresh answer'] as const;

interface World {
  /** A request of a reader, with its way to the isolate. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
}

async function startWorld(variant: Variant, roundTripMs: number): Promise<World> {
  const database = await startDevDatabase({ dataDir: 'memory://', migrationsDir: FIXTURE.migrationsDir });
  const worker = millrace(database, FOLDER, 'placement-worker.js');
  const isPlaced = variant !== 'unplaced';
  const scriptIn = (name: string, here: Place, isHome: boolean) => ({
    ...worker,
    name,
    bindings: {
      ...worker.bindings,
      WARMING: 'off',
      PROBE_SHARE: '0',
      ...(isPlaced ? { DATABASE_REGION: DATABASE } : {}),
      BENCH_HERE: here,
      BENCH_DATABASE: DATABASE,
      BENCH_FIRST_USE: FIRST_USE,
      BENCH_PLACED: isPlaced ? 'on' : 'off',
      BENCH_ROUND_TRIP_MS: String(roundTripMs),
    },
    durableObjects: Object.fromEntries(
      Object.entries(worker.durableObjects).map(([binding, of]) => [
        binding,
        isHome ? of : { ...of, scriptName: 'objects' },
      ]),
    ),
  });
  const queues = Object.fromEntries(
    Object.values(worker.queueProducers).map((queue) => [queue, { maxBatchSize: 100, maxBatchTimeout: 0 }]),
  );
  const readers = Object.keys(PLACES).filter((name): name is Place => name in PLACES);
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      workers: [
        scriptIn('objects', isPlaced ? DATABASE : FIRST_USE, true),
        { ...scriptIn('consumer', CONSUMER, false), queueConsumers: queues },
        ...readers.map((place) => scriptIn(place, place, false)),
      ],
    }),
  );
  await runtime.ready;
  const isolate: Place = variant === 'moved' ? DATABASE : READER;
  const base = await runtime.unsafeGetDirectURL(isolate);
  const oneWayMs = isolate === READER ? 0 : roundTripMs / 2;
  return {
    ask: async (path, init = {}) => {
      if (oneWayMs > 0) await sleep(oneWayMs);
      const headers = new Headers(init.headers);
      headers.set('mf-cf-blob', JSON.stringify(PLACES[READER]));
      headers.set('authorization', `Bearer ${KEY}`);
      const response = await fetch(new URL(path, base), { ...init, headers });
      if (oneWayMs > 0) await sleep(oneWayMs);
      return response;
    },
    close: async () => {
      await runtime.dispose();
      await database.close();
    },
  };
}

async function put({ ask }: World, sku: string): Promise<void> {
  const answer = await ask(`/v1/products/${sku}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ description: 'A product', unitPrice: 1 }),
  });
  if (!answer.ok) throw new Error(`The product was not written: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}

/** The page of a product: the units sold, and whether a cache answered. */
async function read({ ask }: World, sku: string): Promise<{ sold: number; status: string }> {
  const answer = await ask(`/v1/products/${sku}`);
  if (!answer.ok) throw new Error(`The product was not read: ${answer.status} ${await answer.text()}`);
  const page: { sold: { units: number } } = await answer.json();
  return { sold: page.sold.units, status: answer.headers.get('cache-status') ?? '' };
}

async function buy({ ask }: World, sku: string, id: string): Promise<void> {
  const data = {
    invoice: '1',
    sku,
    description: 'A',
    quantity: 1,
    unitPrice: 1,
    customerId: '1',
    country: 'UK',
  };
  const answer = await ask('/v1/events', {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({ specversion: '1.0', id, source: '/bench', type: 'shop.purchase.v1', data }),
  });
  if (answer.status !== 202)
    throw new Error(`The event was not taken: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Reads until the page is answered by a cache: bounded reads are, once the clock knows its sources. */
async function settled(world: World, sku: string): Promise<void> {
  const deadline = performance.now() + GIVE_UP_MS;
  while (!(await read(world, sku)).status.includes('; hit')) {
    if (performance.now() > deadline) throw new Error('The page never came from a cache.');
    await sleep(POLL_MS);
  }
}

async function eventToFresh(world: World, sku: string, id: string): Promise<number> {
  const { sold } = await read(world, sku);
  return await timed(async () => {
    await buy(world, sku, id);
    const deadline = performance.now() + GIVE_UP_MS;
    while ((await read(world, sku)).sold === sold) {
      if (performance.now() > deadline) throw new Error('The answer never showed the event.');
      await sleep(POLL_MS);
    }
  });
}

async function measure(world: World): Promise<Record<(typeof ACTIONS)[number], number[]>> {
  const times: Record<(typeof ACTIONS)[number], number[]> = {
    'warm read': [],
    'cold read': [],
    write: [],
    'event to fresh answer': [],
  };
  await put(world, 'BUSY');
  await settled(world, 'BUSY');
  let failure: unknown;
  const reading = setInterval(() => {
    read(world, 'BUSY').catch((error: unknown) => {
      failure ??= error;
    });
  }, BACKGROUND_READ_MS);
  try {
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const sku = `SKU${sample}`;
      times.write.push(await timed(() => put(world, sku)));
      await settled(world, 'BUSY');
      times['cold read'].push(await timed(() => read(world, sku)));
      await settled(world, sku);
      times['warm read'].push(await timed(() => read(world, sku)));
      times['event to fresh answer'].push(await eventToFresh(world, sku, `event-${sample}`));
    }
  } finally {
    clearInterval(reading);
  }
  if (failure !== undefined) throw failure;
  return times;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

bundle('bench/placement-worker.ts', '--outdir', FOLDER);
emptyModules(FOLDER);
console.log(
  `Medians of ${SAMPLES}, in milliseconds, for a reader in ${READER}; the database is in ${DATABASE}.\n`,
);
console.log(`| between regions | objects | ${ACTIONS.join(' | ')} |`);
console.log(`| --- | --- |${' --- |'.repeat(ACTIONS.length)}`);
for (const roundTripMs of ROUND_TRIPS_MS)
  for (const variant of VARIANTS) {
    const world = await startWorld(variant, roundTripMs);
    try {
      const times = await measure(world);
      const cells = ACTIONS.map((action) => median(times[action]).toFixed(0));
      console.log(`| ${roundTripMs} | ${variant} | ${cells.join(' | ')} |`);
    } finally {
      await world.close();
    }
  }

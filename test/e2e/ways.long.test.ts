import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { FIXTURE } from '../support/node/fixture.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';
import { tracedBuild } from '../support/node/traced-build.ts';
import { documentedWays, type Way } from '../support/node/ways.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
/** Runs of each way. A file counts if every run passes it, so what an alarm or the watch does meanwhile does not. */
const RUNS = 3;
/**
 * The object that adds up the counters saves them every ten seconds, whatever is read or sent. A run takes about as long,
 * so each of them may contain a save.
 */
const BY_TIME_ALONE = /^durable-objects\/cache-stats\//;
/** The first request after five seconds sends the counts of the isolate: some runs of an event have it, and others not. */
const SENDING_COUNTS: ReadonlySet<string> = new Set([
  'src/platform/counters.ts',
  'src/composition/alerts.ts',
  'src/composition/bound-parts.ts',
  'src/operations/deprecations.ts',
  'src/platform/tracing/counts.ts',
  'src/cache/tiers/memory.ts',
  'src/features/row-cache.ts',
]);
/**
 * What a background sync of the mirror passes. One is due 100 ms after the last, whatever is read or sent: on a busy machine
 * each run has one, and a run of a read on a quiet one has none.
 */
const OF_SYNC: ReadonlySet<string> = new Set([
  ...['clock', 'config', 'durable-objects', 'objects', 'placement'].map(
    (name) => `src/composition/${name}.ts`,
  ),
  ...['clock', 'hedge', 'peer', 'regions', 'utf8'].map((name) => `src/platform/${name}.ts`),
  ...['changed-tags', 'delta', 'pace', 'push-list', 'region', 'region-hedge', 'root', 'sources'].map(
    (name) => `src/cache/clock/${name}.ts`,
  ),
  ...['source-watch', 'varint', 'wire'].map((name) => `src/cache/clock/${name}.ts`),
  'durable-objects/tag-clock/object.ts',
  'src/cache/warming/warmer.ts',
  'src/platform/object-counts.ts',
]);
/** How long an event may take, in milliseconds. */
const EVENT_MS_MAX = 30_000;

let stack: Stack;
beforeAll(async () => {
  const served = { ...FIXTURE, main: 'test/support/worker/traced.ts' };
  // The watch of the outbox would run the relay beside everything that is traced.
  stack = await startStack({ PROBE_SHARE: '0', OUTBOX_WATCH_MS: '60000' }, { served, build: tracedBuild });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
});

/** The files whose functions ran since the last call, in the order of their first run. */
async function ranFiles(): Promise<Set<string>> {
  const names = z.array(z.string()).parse(await (await stack.fetch('/trace')).json());
  const files = names.map((name) => name.replace(/#.*$/, ''));
  return new Set(files.filter((file) => !BY_TIME_ALONE.test(file)));
}

/** Waits until nothing runs any more, and returns what ran. */
async function untilQuiet(): Promise<Set<string>> {
  const ran = await ranFiles();
  for (let quiet = 0; quiet < 3; ) {
    await sleep(500);
    const more = await ranFiles();
    for (const file of more) ran.add(file);
    quiet = more.size === 0 ? quiet + 1 : 0;
  }
  return ran;
}

async function get(sku: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
  const response = await stack.fetch(`/v1/products/${sku}`, { headers: { ...AUTHORIZED, ...more } });
  await response.text();
  return response.headers.get('cache-status') ?? '';
}

let sent = 0;
/** Sends a purchase of the product `S<product>`. */
async function send(product: number): Promise<void> {
  sent += 1;
  const line = { invoice: '1', description: 'd', quantity: 1, unitPrice: 1, customerId: 'c1', country: 'UK' };
  const data = { ...line, sku: `S${product}` };
  const event = { specversion: '1.0', id: `${sent}`, source: '/ways', type: 'shop.purchase.v1', data };
  const response = await stack.fetch('/v1/events', {
    method: 'POST',
    headers: { ...AUTHORIZED, 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify(event),
  });
  expect(response.status).toBe(202);
}

/** Makes the isolate's mirror of the clock fresh, so that the next read need not. */
async function syncMirror(): Promise<void> {
  await get('S0');
  await untilQuiet();
  // A busy machine may have taken longer than the 2 s for which the mirror is fresh.
  await get('S0', { 'millrace-consistency': 'strong' });
  await ranFiles();
}

/**
 * Where the page and the runs differ; correct the page.
 *
 * @param apart files of other work that each run may have.
 */
function differences(way: Way, runs: readonly Set<string>[], apart: ReadonlySet<string> = new Set()) {
  const passed = [...(runs[0] ?? [])].filter((file) => runs.every((run) => run.has(file)));
  return {
    passedButNotListed: passed.filter((file) => !listed(way).includes(file) && !apart.has(file)),
    listedButNotPassed: listed(way).filter((file) => !passed.includes(file)),
  };
}
const NONE = { passedButNotListed: [], listedButNotPassed: [] };
const listed = ({ steps, beside, uses }: Way) => [...steps, ...beside, ...uses];
const ways = documentedWays();

it('an event passes the files that docs/architecture.md lists', async () => {
  // The first events make the objects, which the others find awake.
  for (let first = 0; first <= RUNS; first += 1) await send(first);
  await untilQuiet();
  const runs: Set<string>[] = [];
  for (let run = 1; run <= RUNS; run += 1) {
    // The root pushes to regions that have asked within the last minute.
    await syncMirror();
    // An event of the same product goes ahead: the objects may have been evicted meanwhile.
    await send(run);
    await untilQuiet();
    await send(run);
    const deadline = performance.now() + EVENT_MS_MAX;
    const ran = await untilQuiet();
    while (performance.now() < deadline && !listed(ways.event).every((file) => ran.has(file)))
      for (const file of await untilQuiet()) ran.add(file);
    runs.push(new Set([...ran].filter((file) => !SENDING_COUNTS.has(file))));
  }
  expect(differences(ways.event, runs, OF_SYNC)).toEqual(NONE);
}, 240_000);

it('a miss passes the files that docs/architecture.md lists', async () => {
  const runs: Set<string>[] = [];
  for (let run = 1; run <= RUNS; run += 1) {
    await syncMirror();
    expect(await get(`S${run}`)).toContain('fwd=uri-miss');
    runs.push(await untilQuiet());
  }
  expect(differences(ways.miss, runs, OF_SYNC)).toEqual(NONE);
});

it('a warm hit passes the files that docs/architecture.md lists', async () => {
  const runs: Set<string>[] = [];
  for (let run = 1; run <= RUNS; run += 1) {
    await syncMirror();
    expect(await get('S0')).toContain('hit');
    runs.push(await ranFiles());
  }
  expect(differences(ways.hit, runs, OF_SYNC)).toEqual(NONE);
});

/**
 * `npm run smoke`: one run over the stack as a user starts it. Starts `npm run dev` on an empty state folder, follows
 * an event of the project's `smoke` to the answers that it changes, stops the stack with Ctrl-C's signal, starts it
 * again, and checks that the data is still there and that nothing is left running.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, ProblemError, type RawCall } from '../src/client/index.ts';
import type { Catalog } from '../src/define/catalog.ts';
import type { EventToSend, Smoke, SmokeRead } from '../src/define/project.ts';
import { cloudEvent } from '../src/gateway/page/lines.ts';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { portOf } from './command-line/values.ts';
import { loadCatalog } from './project/catalog.ts';
import { loadProject } from './project/load.ts';
import { queryOfState, type Started, startDev, stopDev } from './smoke/stack.ts';

const FIRST_START_S_MAX = 180;
const SECOND_START_S_MAX = 90;
const FRESH_WITHIN_MS = 10_000;
const WARM_WITHIN_MS = 5_000;
/** Created for an event type that is acknowledged once it is stored, accepted for the others. */
const ACCEPTED: readonly number[] = [201, 202];

let passed = 0;
let failed = 0;
function check(what: string, holds: boolean, shown: unknown = ''): void {
  if (holds) passed += 1;
  else failed += 1;
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what} ${shown === '' ? '' : JSON.stringify(shown)}`);
}

interface Read {
  readonly body: unknown;
  readonly cache: string;
}

/** A refusal is an answer, too. */
async function get({ url, key }: Started, path: string): Promise<Read> {
  try {
    const { headers, text } = await call({ url, key }, path, { consistency: 'strong' });
    return { body: JSON.parse(text), cache: headers.get('cache-status') ?? '' };
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return { body: error.problem, cache: error.headers.get('cache-status') ?? '' };
  }
}

async function send(stack: Started, event: EventToSend): Promise<number> {
  const sent = cloudEvent({ source: '/smoke', id: `smoke-${process.pid}-${event.type}`, ...event });
  try {
    const { status } = await call(stack, '/v1/events', {
      ...{ method: 'POST', isRepeatable: true, body: JSON.stringify(sent) },
      contentType: 'application/cloudevents+json',
    });
    return status;
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return error.status;
  }
}

async function call({ url, key }: Pick<Started, 'url' | 'key'>, path: string, how: RawCall) {
  const response = await createClient({ url, key }).fetch(path, how);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function isFresh({ isFresh: holds }: SmokeRead, before: unknown, after: unknown): boolean {
  return holds === undefined ? JSON.stringify(before) !== JSON.stringify(after) : holds(before, after);
}

/** A model that no request has used yet loads past its deadline, and its fallback answers meanwhile. */
async function firstRead(stack: Started, { get: path, before: expected }: SmokeRead): Promise<Read> {
  const until = performance.now() + WARM_WITHIN_MS;
  let read = await get(stack, path);
  if (expected === undefined) return read;
  while (!expected.holds(read.body) && performance.now() < until) {
    await sleep(50);
    read = await get(stack, path);
  }
  const holds = expected.holds(read.body);
  check(`${path}: ${expected.what}`, holds, holds ? '' : read.body);
  return read;
}

async function followEvent(stack: Started, smoke: Smoke): Promise<void> {
  const { fresh, unrelated } = smoke;
  const before = await Promise.all(fresh.map((read) => firstRead(stack, read)));
  for (const path of unrelated) await get(stack, path);
  const sentAt = performance.now();
  const status = await send(stack, smoke.send);
  check(`the event is accepted: ${smoke.send.type}`, ACCEPTED.includes(status), status);
  const isChanged = (read: SmokeRead, index: number, after: unknown) =>
    isFresh(read, before[index]?.body, after);
  for (const [index, read] of fresh.entries()) {
    let after = await get(stack, read.get);
    while (!isChanged(read, index, after.body) && performance.now() - sentAt < FRESH_WITHIN_MS) {
      await sleep(20);
      after = await get(stack, read.get);
    }
    const ms = Math.round(performance.now() - sentAt);
    check(`${read.get} is fresh, after ms:`, isChanged(read, index, after.body), ms);
  }
  for (const path of unrelated) {
    const { cache } = await get(stack, path);
    check(`${path} is still a hit`, cache.includes('; hit'), cache);
  }
}

/** What can be checked of any catalog: the examples of its events are stored. */
async function sendExamples(stack: Started, catalog: Catalog): Promise<void> {
  const shown = catalog.events.filter(({ example }) => example !== undefined);
  if (shown.length === 0) console.log('The catalog has no event type with an example: nothing is sent.');
  for (const { type, example } of shown) {
    const event = { type, data: example, source: '/smoke', id: `smoke-${process.pid}-${type}` };
    const answered = await send(stack, event);
    check(`the example of ${type} is accepted`, ACCEPTED.includes(answered), answered);
    const path = `/v1/events/${encodeURIComponent(event.source)}/${encodeURIComponent(event.id)}`;
    const deadline = performance.now() + FRESH_WITHIN_MS;
    let state = '';
    while (state !== 'stored' && performance.now() < deadline) {
      await sleep(50);
      state = String(Reflect.get(Object((await get(stack, path)).body), 'status'));
    }
    check(`the example of ${type} is stored`, state === 'stored', state);
  }
}

async function run(
  at: { readonly stateDir: string; readonly port: number },
  catalog: Catalog,
): Promise<void> {
  const first = await startDev(at, FIRST_START_S_MAX);
  check(`first start within ${FIRST_START_S_MAX} s`, true, first.seconds);
  const smoke = await loadProject().smoke?.(queryOfState(at.stateDir));
  if (smoke === undefined) await sendExamples(first, catalog);
  else await followEvent(first, smoke);
  const kept = smoke?.fresh[0]?.get ?? '/v1/events/types';
  const before = await get(first, kept);
  check('nothing answers after Ctrl-C', await stopDev(first));
  const second = await startDev(at, SECOND_START_S_MAX);
  check(`second start within ${SECOND_START_S_MAX} s`, true, second.seconds);
  const after = await get(second, kept);
  check(`${kept} is the same after a restart`, JSON.stringify(after.body) === JSON.stringify(before.body));
  check('nothing answers after the second Ctrl-C', await stopDev(second));
}

const USAGE = `npm run smoke -- [--port 8797]

Starts npm run dev twice on an empty state folder and follows an event; this takes 20 s to two minutes.`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run smoke',
    options: { port: { type: 'string', default: '8797' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const port = portOf('--port', values.port);
  const catalog = await loadCatalog();
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-smoke-'));
  console.log('Starting npm run dev on an empty state folder; the whole run takes 20 s to two minutes.');
  try {
    await run({ stateDir, port }, catalog);
  } catch (error) {
    check(error instanceof Error ? error.message : String(error), false);
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
  console.log(`\nsmoke: ${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});

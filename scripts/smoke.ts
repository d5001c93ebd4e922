/**
 * `npm run smoke`: one run over the stack as a user starts it. Starts `npm run dev` on an empty state folder,
 * follows an event to a fresh answer and a changed recommendation, stops it with Ctrl-C's signal, starts it
 * again, and checks that the data is still there and that nothing is left running.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PORT = 8797;
const FIRST_START_S_MAX = 90;
const SECOND_START_S_MAX = 60;
const FRESH_WITHIN_MS = 10_000;

interface Started {
  readonly process: ChildProcess;
  readonly seconds: number;
  readonly url: string;
  readonly key: string;
  readonly customer: string;
  readonly sku: string;
}

async function start(stateDir: string, secondsMax: number): Promise<Started> {
  const startedAt = performance.now();
  const child = spawn('node', ['scripts/dev.ts', '--state', stateDir, '--port', String(PORT)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  while (!output.includes('Try:')) {
    if (child.exitCode !== null) throw new Error(`npm run dev ended:\n${output}`);
    if ((performance.now() - startedAt) / 1_000 > secondsMax) {
      child.kill('SIGINT');
      throw new Error(`Not ready within ${secondsMax} s:\n${output}`);
    }
    await sleep(100);
  }
  const found = (pattern: RegExp): string => {
    const value = pattern.exec(output)?.[1];
    if (value === undefined) throw new Error(`The ready block lacks ${pattern}:\n${output}`);
    return value;
  };
  if (/warn|error/i.test(output)) throw new Error(`The start was not quiet:\n${output}`);
  return {
    process: child,
    seconds: (performance.now() - startedAt) / 1_000,
    url: found(/API\s+(\S+)/),
    key: found(/Key\s+(\S+)/),
    customer: found(/customers\/([^/\s]+)\/recommendations/),
    sku: found(/products\/(\S+)/),
  };
}

async function stop({ process: child, url }: Started): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  await exited;
  await sleep(500);
  const answer = await fetch(`${url}/health/live`).catch(() => undefined);
  check('nothing answers after Ctrl-C', answer === undefined);
}

let passed = 0;
let failed = 0;
function check(what: string, holds: boolean, shown: unknown = ''): void {
  if (holds) passed += 1;
  else failed += 1;
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what} ${shown === '' ? '' : JSON.stringify(shown)}`);
}

async function get(stack: Started, path: string) {
  const headers = { authorization: `Bearer ${stack.key}`, 'millrace-consistency': 'strong' };
  const response = await fetch(`${stack.url}${path}`, { headers });
  const json: Record<string, never> = JSON.parse(await response.text());
  return { json, cache: response.headers.get('cache-status') ?? '' };
}

async function unitsSold(stack: Started): Promise<number> {
  return Number(Reflect.get(Object((await get(stack, `/v1/products/${stack.sku}`)).json['sold']), 'units'));
}

async function followEvent(stack: Started): Promise<void> {
  const { url, key, customer, sku } = stack;
  const mine = `/v1/customers/${customer}/recommendations`;
  const unrelated = '/v1/customers/somebody-else/recommendations';
  const before = { units: await unitsSold(stack), mine: await get(stack, mine) };
  await get(stack, unrelated);
  check('the model answers', before.mine.json['source'] === 'model');

  const data = { invoice: 'S', sku, quantity: 3, unitPrice: 2, customerId: customer, country: 'UK' };
  const event = {
    specversion: '1.0',
    id: `smoke-${process.pid}`,
    source: '/smoke',
    type: 'shop.purchase.v1',
    data,
  };
  const sentAt = performance.now();
  const sent = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify(event),
  });
  check('the event is taken', sent.status === 202, sent.status);
  let units = before.units;
  let recommendations = before.mine;
  const isFresh = () =>
    units === before.units + 3 && JSON.stringify(recommendations.json) !== JSON.stringify(before.mine.json);
  while (!isFresh() && performance.now() - sentAt < FRESH_WITHIN_MS) {
    await sleep(20);
    units = await unitsSold(stack);
    recommendations = await get(stack, mine);
  }
  check(
    'product and recommendations are fresh, after ms:',
    isFresh(),
    Math.round(performance.now() - sentAt),
  );
  check('an unrelated answer is still a hit', (await get(stack, unrelated)).cache.includes('; hit'));
}

const stateDir = mkdtempSync(join(tmpdir(), 'millrace-smoke-'));
try {
  const first = await start(stateDir, FIRST_START_S_MAX);
  check(`first start within ${FIRST_START_S_MAX} s`, true, first.seconds);
  await followEvent(first);
  const units = await unitsSold(first);
  await stop(first);
  const second = await start(stateDir, SECOND_START_S_MAX);
  check(`second start within ${SECOND_START_S_MAX} s`, true, second.seconds);
  check('the data is found again', (await unitsSold({ ...second, sku: first.sku })) === units, units);
  await stop(second);
} catch (error) {
  check(error instanceof Error ? error.message : String(error), false);
} finally {
  rmSync(stateDir, { recursive: true, force: true });
}
console.log(`\nsmoke: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { PHASE_NAMES, type PhaseName, type PhaseState } from '../../src/platform/phases.ts';
import { partOf } from '../support/node/part.ts';
import { eventually, type Stack } from '../support/node/stack.ts';
import type { Client } from '../support/peers/client.ts';
import { Operators } from '../support/peers/operators.ts';
import { startTroubled } from '../support/peers/troubled.ts';
import { purchaseOf } from './purchases.ts';

/** Reads and events go on while every phase is switched off and on again, in each of the orders. */

const WRITTEN = '/v1/products/WR1';
const SOLD = '/v1/products/EV1';
const BUYER = 'C-orders';
const STRONG = { 'millrace-consistency': 'strong' };
const EVENT = { 'content-type': 'application/cloudevents+json' };
/** Requests that begin this long after the answer to a switch see it. */
const EFFECTIVE_MS = 2_000;
/** What a bounded reader of the fixture's views is promised, in milliseconds. */
const BOUND_MS = 2_000;
const PAUSE_MS = 40;

const ORDERS: readonly (readonly PhaseName[])[] = PHASE_NAMES.flatMap((first) =>
  PHASE_NAMES.filter((name) => name !== first).map((second) => {
    const third = PHASE_NAMES.find((name) => name !== first && name !== second);
    return third === undefined ? [] : [first, second, third];
  }),
);

let stack: Stack;
let client: Client;
let operators: Operators;
beforeAll(async () => {
  ({ stack, client } = await startTroubled());
  operators = await Operators.of(stack);
  await client.prepare('writer', ['PUT', WRITTEN, { description: null, unitPrice: 1 }]);
});
afterAll(async () => await stack[Symbol.asyncDispose]());

async function ask(
  isolate: string,
  method: string,
  path: string,
  { json, ...more }: { json?: unknown; headers?: Readonly<Record<string, string>> } = {},
) {
  const headers = { isolate, ...more.headers };
  const sent = await stack.caller.ask(method, path, { ...(json === undefined ? {} : { json }), headers });
  return { status: sent.status, body: sent.json, cache: sent.headers.get('cache-status') ?? '' };
}

/** The load of one order: what it sent and what it found wrong. */
class Load {
  readonly wrong: unknown[] = [];
  readonly accepted: unknown[] = [];
  readonly counts = { reads: 0, refused: 0, writes: 0 };
  /** Prices that were acknowledged, with the time of that. */
  readonly #written: { readonly price: number; readonly atMs: number }[] = [{ price: 1, atMs: 0 }];
  #isOver = false;

  constructor(firstPrice: number) {
    this.#written.push({ price: firstPrice, atMs: performance.now() });
  }

  end(): void {
    this.#isOver = true;
  }

  /** Sends events until the end; each is sent again until it is accepted, as a client does. */
  async sends(isolate: string): Promise<void> {
    while (!this.#isOver) {
      const event = purchaseOf(BUYER, 'EV1', { quantity: 1 });
      for (;;) {
        const { status, body } = await ask(isolate, 'POST', '/v1/events', { json: event, headers: EVENT });
        if (status === 202) break;
        this.counts.refused += 1;
        if (status !== 503 || body['code'] !== 'phase_off')
          this.wrong.push({ sent: event['id'], status, body });
        await sleep(PAUSE_MS);
      }
      this.accepted.push(event['id']);
      await sleep(PAUSE_MS);
    }
  }

  async writes(): Promise<void> {
    for (let price = this.#newest + 1; !this.#isOver; await sleep(PAUSE_MS)) {
      const { status, body } = await ask('writer', 'PUT', WRITTEN, {
        json: { description: null, unitPrice: price },
      });
      if (status === 200) {
        this.#written.push({ price, atMs: performance.now() });
        this.counts.writes += 1;
        price += 1;
      } else if (status !== 503 || body['code'] !== 'phase_off')
        this.wrong.push({ write: price, status, body });
    }
  }

  /** Reads until the end; no answer may lack a write that was acknowledged `boundMs` before it began. */
  async reads(isolate: string, headers: Readonly<Record<string, string>>, boundMs: number): Promise<void> {
    for (; !this.#isOver; await sleep(PAUSE_MS)) {
      const begunMs = performance.now();
      const { status, body, cache } = await ask(isolate, 'GET', WRITTEN, { headers });
      const owed = this.#written.findLast(({ atMs }) => atMs <= begunMs - boundMs)?.price ?? 0;
      this.counts.reads += 1;
      if (status !== 200 || Number(body['unitPrice']) < owed)
        this.wrong.push({ read: body['unitPrice'], owed, status, cache, isolate });
    }
  }

  /** The model has a fallback: predictions answer by the model, by what stands in, or say that they are switched off. */
  async predicts(isolate: string): Promise<void> {
    for (; !this.#isOver; await sleep(PAUSE_MS)) {
      const json = { key: BUYER, request: { hour: 1 } };
      const { status, body } = await ask(isolate, 'POST', '/v1/predictions/mood', { json });
      if (status !== 200 && body['code'] !== 'phase_off') this.wrong.push({ predicted: body, status });
    }
  }

  get #newest(): number {
    return this.#written.at(-1)?.price ?? 0;
  }

  get newestPrice(): number {
    return this.#newest;
  }
}

/** Switches a phase; an isolate that did not hear of it shows it within two seconds. */
async function change(phase: PhaseName, state: PhaseState): Promise<number> {
  expect((await operators.switch(phase, state)).status).toBe(200);
  const since = performance.now();
  for (;;) {
    const begunMs = performance.now() - since;
    if ((await isOff(phase)) === (state === 'off')) return begunMs;
    expect(begunMs, `${phase} ${state}`).toBeLessThan(EFFECTIVE_MS);
  }
}

async function isOff(phase: PhaseName): Promise<boolean> {
  if (phase === 'cache') return (await ask('prober', 'GET', SOLD)).cache.includes('detail=phase-off');
  const path = phase === 'pipeline' ? '/v1/events' : '/v1/features/read';
  const json = phase === 'pipeline' ? [] : { entity: 'customer', keys: [BUYER] };
  const headers = phase === 'pipeline' ? { 'content-type': 'application/cloudevents-batch+json' } : {};
  return (await ask('prober', 'POST', path, { json, headers })).body['code'] === 'phase_off';
}

const Stored = z.object({ rows: z.number(), events: z.number() });

/** How often each event is stored, and what its consequences count. */
async function stored(ids: readonly unknown[]) {
  const rows = await stack.sql(
    `select count(*)::int as rows, count(distinct id)::int as events from millrace.events
     where source = '/e2e' and id = any($1)`,
    [ids],
  );
  const sold = (await ask('judge', 'GET', SOLD, { headers: STRONG })).body['sold'];
  const features = { entity: 'customer', keys: [BUYER], features: ['purchases_30d'] };
  const read = await ask('judge', 'POST', '/v1/features/read', { json: features, headers: STRONG });
  return {
    ...Stored.parse(rows[0]),
    units: z.object({ units: z.number() }).parse(sold).units,
    features: JSON.stringify(read.body),
  };
}

it('the orders are all six', () => {
  expect(new Set(ORDERS.map((order) => order.join(' '))).size).toBe(6);
});

it('nothing is lost, doubled or served stale while phases are switched off and on, in whatever order', async () => {
  const sent: unknown[] = [];
  let price = 1;
  const slowest = { ms: 0 };
  for (const order of partOf(ORDERS, 6)) {
    const load = new Load(price);
    const work = [
      ...['sender 1', 'sender 2'].map((isolate) => load.sends(isolate)),
      load.writes(),
      load.reads('strong', STRONG, 0),
      load.reads('bounded 1', {}, BOUND_MS),
      load.reads('bounded 2', {}, BOUND_MS),
      load.predicts('bounded 1'),
    ];
    await sleep(5 * PAUSE_MS);
    for (const phase of order) {
      slowest.ms = Math.max(slowest.ms, await change(phase, 'off'));
      const { counts } = load;
      if (phase === 'pipeline')
        await eventually(
          async () => counts.refused,
          (refused) => refused > 3,
          30_000,
        );
    }
    for (const phase of order.toReversed()) slowest.ms = Math.max(slowest.ms, await change(phase, 'on'));
    // On a busy machine a pause of some milliseconds is not enough for the load to go on.
    await eventually(
      async () => Math.min(load.counts.reads, load.counts.writes),
      (least) => least > 3,
      30_000,
    );
    load.end();
    await Promise.all(work);
    price = load.newestPrice;
    sent.push(...load.accepted);
    expect(load.wrong, order.join(' ')).toEqual([]);
    // Otherwise the order would have shown nothing.
    expect(Math.min(load.counts.reads, load.counts.refused, load.counts.writes)).toBeGreaterThan(3);
  }
  // The rows are counted before the units are read: an event may be stored in between.
  const all = await eventually(
    () => stored(sent),
    ({ rows, units }) => rows === sent.length && units === sent.length,
    30_000,
  );
  expect(all).toMatchObject({ rows: sent.length, events: sent.length, units: sent.length });
  expect(all.features).toContain(`"value":${sent.length},`);
  console.log(`${sent.length} events; a switch was seen after ${Math.round(slowest.ms)} ms at the latest`);
});

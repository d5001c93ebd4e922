import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { changeAlias } from '../../src/storage/postgres/model-versions.ts';
import { expectedSpend } from '../../test/support/catalog/models.ts';
import { expectedSpendBundle } from '../../test/support/models/outside.ts';
import { type Answer, ask, tokenOf } from './client.ts';
import { customerDep, type History, moment } from './history.ts';
import type { Origin } from './origin.ts';
import { pick } from './products.ts';
import type { Runtime } from './runtime.ts';

/**
 * Customers who buy. The versions of a customer are its purchases: one writer sends them one after the other, each until
 * it is acknowledged, so the number that a feature or a prediction shows is the version.
 */

/** What every purchase is of. No other writer has this product, and no reader asks for it. */
export const SOLD = 'z1';
const WRITERS = 4;
/** Few, so that they are read from caches between two purchases. */
const CUSTOMERS_OF_WRITER = 2;
/** A customer makes way for another after this many: the model's answer says no more than 99 of them apart. */
const PURCHASES_MAX = 60;
const PAUSE_MS_MAX = 400;
const RETRY_PAUSE_MS_MAX = 200;
const READY_TIMEOUT_MS = 60_000;
/** Without a purchase the model counts 100 days since the last one, and answers 300; `PURCHASES_MAX` are less. */
const WITHOUT_PURCHASE_MIN = 250;

export const MODEL = expectedSpend.name;

interface Purchasing {
  readonly history: History;
  readonly runtime: Runtime;
  readonly customers: Customers;
  readonly signal: AbortSignal;
  readonly lastPurchases: { customer: string; token: string }[];
}

/** The customers who buy now, and all who have bought. */
export interface Customers {
  readonly active: string[];
  readonly all: string[];
}

/** Publishes the model and waits until the features are served. */
export async function prepare(runtime: Runtime, origin: Origin, continent: string): Promise<void> {
  const headers = runtime.headersFrom(continent);
  const { manifest, model = '' } = await expectedSpendBundle();
  const bytes = Buffer.from(model, 'base64');
  await done(() =>
    ask(runtime.urlOf(0, `/v1/admin/artifacts/${manifest.model.sha256}`), {
      method: 'PUT',
      headers: {
        ...headers,
        'content-type': 'application/octet-stream',
        'content-length': String(bytes.length),
      },
      body: bytes,
    }),
  );
  // Past the route, which runs the graph: the bundle has no runtime of ONNX, and the evaluator answers.
  const registered = {
    ...{ model: MODEL, version: manifest.version, card: '', measured: {} },
    manifest: JSON.stringify(manifest),
  };
  const target = {
    ...{ model: MODEL, alias: 'champion', version: manifest.version, expected: undefined },
    reason: 'publish' as const,
  };
  await changeAlias(origin.db, target, { principal: 'verify', tags: [`model:${MODEL}`] }, registered);
  for (const deadline = performance.now() + READY_TIMEOUT_MS; ; await sleep(500)) {
    // Again and again, because the unreliable database lets steps fail, and the next one would come with the alarm.
    await done(() => ask(runtime.urlOf(0, '/v1/admin/features/backfill'), { method: 'POST', headers }));
    const answer = await ask(runtime.urlOf(0, '/v1/admin/features'), { headers });
    const states = z.object({ features: z.array(z.object({ state: z.string() })) });
    const read = typeof answer === 'object' ? states.safeParse(answer.body) : undefined;
    if (read?.success === true && read.data.features.length > 0)
      if (read.data.features.every(({ state }) => state === 'ready')) return;
    if (performance.now() > deadline)
      throw new Error(`The features are not ready: ${JSON.stringify(answer)}`);
  }
}

/** Repeats a request that the unreliable database lets fail. */
async function done(asking: () => ReturnType<typeof ask>): Promise<void> {
  for (const deadline = performance.now() + READY_TIMEOUT_MS; ; await sleep(RETRY_PAUSE_MS_MAX)) {
    const answer = await asking();
    if (typeof answer === 'object' && answer.status < 300) return;
    if (performance.now() > deadline)
      throw new Error(`The run could not be prepared: ${JSON.stringify(answer)}`);
  }
}

/** Starts the writers of purchases. Settles once they have stopped. */
export async function buy(context: Purchasing, isolateOf: () => number, continents: readonly string[]) {
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      const own = Array.from({ length: CUSTOMERS_OF_WRITER }, (_, place) => `c${writer}${place}`);
      const process = `purchases' writer ${writer}`;
      context.customers.active.push(...own);
      context.customers.all.push(...own);
      for (let purchases = 0; !context.signal.aborted; purchases += 1) {
        const place = purchases % own.length;
        const customer = own[place] ?? '';
        const bought = context.history.writes.get(customerDep(customer))?.length ?? 0;
        if (bought >= PURCHASES_MAX) {
          const next = `${customer}n`;
          own[place] = next;
          context.customers.active[context.customers.active.indexOf(customer)] = next;
          context.customers.all.push(next);
          continue;
        }
        await buyOnce(context, customer, { process, isolateOf, continents });
        await sleep(Math.random() * PAUSE_MS_MAX);
      }
    }),
  );
}

async function buyOnce(
  { history, runtime, signal, lastPurchases }: Purchasing,
  customer: string,
  how: { readonly process: string; readonly isolateOf: () => number; readonly continents: readonly string[] },
): Promise<void> {
  const write = history.begin(customerDep(customer), { kind: 'event', absent: false, process: how.process });
  const id = `${customer}-${write.version}`;
  const body = JSON.stringify({
    ...{
      specversion: '1.0',
      id,
      source: '/verify',
      type: 'shop.purchase.v1',
      time: new Date().toISOString(),
    },
    data: {
      ...{ invoice: String(write.version), sku: SOLD, description: 'version 1000000', unitPrice: 1_000_000 },
      ...{ quantity: 1, customerId: customer, country: 'EIRE' },
    },
  });
  while (!signal.aborted) {
    const isolate = how.isolateOf();
    const { generation } = runtime;
    const headers = {
      ...runtime.headersFrom(pick(how.continents)),
      'content-type': 'application/cloudevents+json',
      prefer: 'wait',
    };
    const start = moment();
    const answer = await ask(runtime.urlOf(isolate, '/v1/events'), { method: 'POST', headers, body });
    const end = moment();
    const status = typeof answer === 'object' ? answer.status : undefined;
    const noAnswer = typeof answer === 'object' ? undefined : answer;
    const token = typeof answer === 'object' ? tokenOf(answer) : undefined;
    write.attempts.push({ isolate, generation, start, end, status, noAnswer, token: token?.text });
    if (status !== undefined && status < 300 && token !== undefined) {
      write.committed = end;
      write.acknowledged = end;
      write.token = token;
      history.count('done/purchase');
      lastPurchases.unshift({ customer, token: token.text });
      lastPurchases.length = Math.min(lastPurchases.length, 16);
      return;
    }
    history.count(`purchase/not acknowledged: ${status ?? noAnswer}`);
    await sleep(Math.random() * RETRY_PAUSE_MS_MAX);
  }
}

const Features = z.object({
  results: z.tuple([
    z.object({
      features: z.object({ purchases_365d: z.object({ value: z.number().nullable(), status: z.string() }) }),
    }),
  ]),
});
const Prediction = z.object({ value: z.number(), source: z.string(), degraded: z.string().optional() });

/** How many purchases an answer shows; undefined where it shows none that can be judged, with the reason. */
export function purchasesOf(kind: 'features' | 'prediction', { body }: Answer): number | string {
  if (kind === 'features') {
    const { value, status } = Features.parse(body).results[0].features.purchases_365d;
    return status === 'PRESENT' || status === 'NOT_FOUND' ? (value ?? 0) : status;
  }
  const { value, source, degraded } = Prediction.parse(body);
  if (degraded !== undefined || source !== 'model') return degraded ?? source;
  // The sum of both counts and of three times the days since the last purchase, which are a small part of one, and 1.
  return value >= WITHOUT_PURCHASE_MIN ? 0 : Math.round((value - 1) / 3);
}

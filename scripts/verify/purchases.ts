import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { changeAlias } from '../../src/storage/postgres/model-versions.ts';
import { expectedSpend } from '../../test/support/catalog/models.ts';
import { expectedSpendBundle } from '../../test/support/models/outside.ts';
import { ask, tokenOf } from './client.ts';
import { customerDep, type History, moment } from './history.ts';
import type { Origin } from './origin.ts';
import { pick } from './products.ts';
import { CONTINENTS } from './readers.ts';
import type { Runtime } from './runtime.ts';

/**
 * Customers who buy. The versions of a customer are its purchases: one writer sends them one after the other, each until
 * it is acknowledged, so the number that a feature or a prediction shows is the version.
 */

const WRITERS = 2;
/** A customer makes way for another after this many: the model tells no more than 99 of them apart. */
const PURCHASES_MAX = 60;
/** Between two purchases, in milliseconds: so that their features are read from memory in between. */
const PAUSE_MS_MAX = 150;
const RETRY_PAUSE_MS_MAX = 100;
const READY_TIMEOUT_MS = 60_000;
const TOKENS_KEPT = 4;

/** The customers who buy now, and all who have bought. */
export interface Customers {
  readonly active: string[];
  readonly all: string[];
  /** The newest acknowledgements, for sessions to begin with. */
  readonly lastTokens: { customer: string; token: string }[];
}

export interface Purchasing {
  readonly history: History;
  readonly runtime: Runtime;
  readonly customers: Customers;
  readonly signal: AbortSignal;
}

const Versions = z.object({
  features: z.array(
    z.object({ entity: z.string(), feature: z.string(), state: z.string(), suffix: z.string() }),
  ),
});

/**
 * Publishes the model, and waits until the features are served.
 *
 * @returns what a read appends to the name of each feature of a customer for its version.
 */
export async function prepare(runtime: Runtime, origin: Origin): Promise<ReadonlyMap<string, string>> {
  const headers = runtime.headersFrom(CONTINENTS[0]);
  const { manifest, model = '' } = await expectedSpendBundle();
  const bytes = Buffer.from(model, 'base64');
  const upload = { 'content-type': 'application/octet-stream', 'content-length': String(bytes.length) };
  await done(() =>
    ask(runtime.urlOf(0, `/v1/admin/artifacts/${manifest.model.sha256}`), {
      method: 'PUT',
      headers: { ...headers, ...upload },
      body: bytes,
    }),
  );
  // Past the route, which runs the graph: the bundle has no runtime of ONNX, and the evaluator answers.
  const { name } = expectedSpend;
  const registered = {
    ...{ model: name, version: manifest.version, card: '', measured: {} },
    manifest: JSON.stringify(manifest),
  };
  const target = {
    ...{ model: name, alias: 'champion', version: manifest.version, expected: undefined },
    reason: 'publish' as const,
  };
  await changeAlias(origin.db, target, { principal: 'verify', tags: [`model:${name}`] }, registered);
  for (const deadline = performance.now() + READY_TIMEOUT_MS; ; await sleep(200)) {
    // Again and again, because the unreliable database lets steps fail, and the next one would come with the alarm.
    await done(() => ask(runtime.urlOf(0, '/v1/admin/features/backfill'), { method: 'POST', headers }));
    const answer = await ask(runtime.urlOf(0, '/v1/admin/features'), { headers });
    const read = typeof answer === 'object' ? Versions.safeParse(answer.body) : undefined;
    const versions = read?.success === true ? read.data.features : [];
    if (versions.length > 0 && versions.every(({ state }) => state === 'ready'))
      return new Map(
        versions
          .filter(({ entity }) => entity === expectedSpend.entity.name)
          .map(({ feature, suffix }) => [feature, suffix]),
      );
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
export async function runBuyers(context: Purchasing): Promise<void> {
  const { history, customers, signal } = context;
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      for (let round = 0; !signal.aborted; round += 1) {
        const customer = `c${writer}-${round}`;
        customers.active[writer] = customer;
        customers.all.push(customer);
        const bought = () => history.writes.get(customerDep(customer))?.length ?? 0;
        while (!signal.aborted && bought() < PURCHASES_MAX) {
          await buyOnce(context, customer, `purchases' writer ${writer}`);
          await sleep(Math.random() * PAUSE_MS_MAX);
        }
      }
    }),
  );
}

/** Sends a purchase until it is acknowledged: then it is stored, and folded into the features. */
async function buyOnce(
  { history, runtime, signal, customers }: Purchasing,
  customer: string,
  process: string,
): Promise<void> {
  const write = history.begin(customerDep(customer), { kind: 'event', absent: false, process });
  const body = purchaseOf(customer, write.version);
  while (!signal.aborted) {
    const isolate = Math.floor(Math.random() * runtime.isolates);
    const { generation } = runtime;
    const headers = {
      ...runtime.headersFrom(pick(CONTINENTS)),
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
      customers.lastTokens.unshift({ customer, token: token.text });
      customers.lastTokens.length = Math.min(customers.lastTokens.length, TOKENS_KEPT);
      return;
    }
    history.count(`purchase/not acknowledged: ${status ?? noAnswer}`);
    await sleep(Math.random() * RETRY_PAUSE_MS_MAX);
  }
}

function purchaseOf(customer: string, version: number): string {
  return JSON.stringify({
    ...{ specversion: '1.0', id: `${customer}-${version}`, source: '/verify', type: 'shop.purchase.v1' },
    time: new Date().toISOString(),
    data: {
      ...{ invoice: String(version), sku: 'z1', description: 'version 1', unitPrice: 1 },
      ...{ quantity: 1, customerId: customer, country: 'EIRE' },
    },
  });
}

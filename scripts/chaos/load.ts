import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../src/platform/random.ts';
import { mood } from '../../test/support/catalog/models.ts';
import { productPage } from '../../test/support/catalog/views.ts';
import { type Answer, ask, headerOf, type NoAnswer, tokenOf } from '../verify/client.ts';
import { depOf, fieldsOf, type History, moment, type Write } from '../verify/history.ts';
import { zipf } from '../verify/products.ts';
import { isMarked } from '../verify/readers.ts';
import type { SentEvent } from './events-ledger.ts';
import type { Answered } from './judgement.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import type { ChaosStack } from './stack.ts';

/** Things that are read and written. The first are read most. */
const PRODUCTS = 64;
/** Fewer than one read of features takes at once. */
const CUSTOMERS = 48;
/** The product of all purchases: it is not read, so that its many changes do not set the pace of the reads. */
const SOLD = 'z1';
/** How often the load looks whether requests are due, in milliseconds. */
const TICK_MS = 5;
/** Requests without an answer yet. Beyond, those that are due are not sent, and are counted as such. */
const UNANSWERED_MAX = 3_000;

/** What the load consists of. */
export interface Shape {
  /** Requests a second; each is sent when it is due, whatever became of those before. */
  readonly perSecond: number;
  /** In shares that add up to 1. */
  readonly shares: Readonly<Record<Operation, number>>;
  /** Whether all reads and writes are of one product. */
  readonly isHot: boolean;
  /** The isolate that answers predictions; undefined for those that answer everything. */
  readonly predictsAt?: number | undefined;
}

export const USUAL_SHARES: Shape['shares'] = {
  'bounded read': 0.78,
  'strong read': 0.08,
  write: 0.02,
  event: 0.06,
  prediction: 0.06,
};

/** The shares when `times` as many events are sent and as much of everything else. */
export function withMoreEvents(shape: Shape, times: number): Shape {
  const more = shape.shares.event * (times - 1);
  const shares = Object.fromEntries(
    OPERATIONS.map((operation) => {
      const share = shape.shares[operation] + (operation === 'event' ? more : 0);
      return [operation, share / (1 + more)];
    }),
  ) as Shape['shares'];
  return { ...shape, perSecond: shape.perSecond * (1 + more), shares };
}

/** Readers, writers, senders of events and predictions, and everything that they saw. */
export class Load {
  readonly answers: Answered[] = [];
  readonly events: SentEvent[] = [];
  readonly customers: readonly string[];
  /** Due while too many requests had no answer. */
  unsent = 0;
  readonly #stack: ChaosStack;
  readonly #history: History;
  readonly #random: Random;
  readonly #name: string;
  readonly #products: readonly string[];
  /** The product has one writer at a time, so that its versions have an order. */
  readonly #written = new Set<string>();
  readonly #unanswered = new Set<Promise<void>>();

  /** @param name of the run of an experiment: its products, customers and events are those of no other. */
  constructor(stack: ChaosStack, history: History, random: Random, name: string) {
    this.#stack = stack;
    this.#history = history;
    this.#random = random;
    this.#name = name;
    const named = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${name}-${prefix}${index}`);
    this.#products = named('p', PRODUCTS);
    this.customers = named('c', CUSTOMERS);
  }

  /** Writes each product once, so that every read has an answer. */
  async prepare(): Promise<void> {
    for (const sku of this.#products) {
      const write = this.#begin(sku);
      const answer = await this.#stack.request(0, 'PUT', `/v1/products/${sku}`, fieldsOf(write.version));
      acknowledge(write, answer);
    }
  }

  /**
   * Sends what is due until told to stop. The requests that have no answer then go on; `settle` waits for them.
   *
   * @param shape is asked for each time, so that a fault can change it.
   */
  async run(shape: () => Shape, signal: AbortSignal): Promise<void> {
    let dueMs = performance.now();
    while (!signal.aborted) {
      const nowMs = performance.now();
      for (; dueMs <= nowMs; dueMs += 1_000 / shape().perSecond) this.#sendOrSkip(shape());
      await sleep(TICK_MS);
    }
  }

  /** Sends one request after the other on so many connections, as fast as they are answered. */
  async saturate(shape: Shape, connections: number, signal: AbortSignal): Promise<void> {
    const send = async () => {
      while (!signal.aborted) await this.#send(shape);
    };
    await Promise.all(Array.from({ length: connections }, send));
  }

  /** Reads every product through every isolate: whatever was acknowledged has to be there. */
  async readEverything(): Promise<void> {
    for (let isolate = 0; isolate < this.#stack.edges; isolate += 1)
      for (const sku of this.#products) await this.#read('strong read', isolate, sku, 'strong');
  }

  /** Waits for the requests without an answer. */
  async settle(): Promise<void> {
    while (this.#unanswered.size > 0) await Promise.all(this.#unanswered);
  }

  #sendOrSkip(shape: Shape): void {
    if (this.#unanswered.size >= UNANSWERED_MAX) {
      this.unsent += 1;
      return;
    }
    const sent = this.#send(shape).finally(() => this.#unanswered.delete(sent));
    this.#unanswered.add(sent);
  }

  async #send(shape: Shape): Promise<void> {
    const operation = this.#draw(shape.shares);
    const isolate = Math.floor(this.#random() * this.#stack.edges);
    const sku = this.#products[shape.isHot ? 0 : zipf(PRODUCTS, this.#random)] ?? '';
    switch (operation) {
      case 'bounded read':
        return await this.#read(operation, isolate, sku, 'bounded');
      case 'strong read':
        return await this.#read(operation, isolate, sku, 'strong');
      case 'write':
        return await this.#write(isolate, sku);
      case 'event':
        return await this.#sendEvent(isolate);
      case 'prediction':
        return await this.#predict(shape.predictsAt ?? isolate);
    }
  }

  #draw(shares: Shape['shares']): Operation {
    let rest = this.#random();
    for (const operation of OPERATIONS) {
      rest -= shares[operation];
      if (rest < 0) return operation;
    }
    return 'bounded read';
  }

  /** Asks once and notes how it was answered. */
  async #ask(
    operation: Operation,
    isolate: number,
    path: string,
    more: { method?: string; headers?: Readonly<Record<string, string>>; json?: unknown } = {},
  ): Promise<Answer | NoAnswer> {
    const { method = 'GET', json } = more;
    const begunMs = performance.now();
    const answer = await ask(this.#stack.urlOf(isolate, path), {
      method,
      headers: { ...this.#stack.headersOf(isolate), ...more.headers },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    this.answers.push(answeredOf(operation, begunMs, answer));
    return answer;
  }

  async #read(
    operation: Operation,
    isolate: number,
    sku: string,
    level: 'bounded' | 'strong',
  ): Promise<void> {
    const begun = moment();
    const headers: Record<string, string> = level === 'strong' ? { 'millrace-consistency': 'strong' } : {};
    const answer = await this.#ask(operation, isolate, `/v1/products/${sku}`, { headers });
    if (typeof answer === 'string' || answer.status !== 200) return;
    const shown: unknown = Reflect.get(Object(answer.body), 'unitPrice');
    const status = headerOf(answer, 'cache-status') ?? '';
    this.#history.reads.push({
      ...{ dep: depOf(sku), level, begun, ended: moment(), shown: Number(shown) },
      ...{ marked: isMarked(status), boundMs: productPage.policy.boundMs, tokenOut: tokenOf(answer) },
      note: `isolate ${isolate}, ${sku}, ${status}`,
    });
  }

  #begin(sku: string): Write {
    return this.#history.begin(depOf(sku), { kind: 'api', absent: false, process: `writer of ${sku}` });
  }

  async #write(isolate: number, wanted: string): Promise<void> {
    const sku = this.#written.has(wanted)
      ? this.#products.find((other) => !this.#written.has(other))
      : wanted;
    if (sku === undefined) return;
    this.#written.add(sku);
    const write = this.#begin(sku);
    const answer = await this.#ask('write', isolate, `/v1/products/${sku}`, {
      ...{ method: 'PUT', json: fieldsOf(write.version), headers: { 'content-type': 'application/json' } },
    });
    if (typeof answer === 'object' && answer.status < 300) acknowledge(write, answer);
    this.#written.delete(sku);
  }

  async #sendEvent(isolate: number): Promise<void> {
    const customer = this.customers[Math.floor(this.#random() * CUSTOMERS)] ?? '';
    const id = `${this.#name}-${this.events.length}`;
    const place = this.events.push({ id, customer, isAcknowledged: false }) - 1;
    const answer = await this.#ask('event', isolate, '/v1/events', {
      ...{ method: 'POST', headers: { 'content-type': 'application/cloudevents+json' } },
      json: {
        ...{
          specversion: '1.0',
          id,
          source: '/chaos',
          type: 'shop.purchase.v1',
          time: new Date().toISOString(),
        },
        data: {
          ...{ invoice: id, sku: SOLD, description: 'Sold', quantity: 1, unitPrice: 1 },
          ...{ customerId: customer, country: 'EIRE' },
        },
      },
    });
    if (typeof answer === 'object' && answer.status === 202)
      this.events[place] = { id, customer, isAcknowledged: true };
  }

  async #predict(isolate: number): Promise<void> {
    const key = this.customers[Math.floor(this.#random() * CUSTOMERS)] ?? '';
    await this.#ask('prediction', isolate, `/v1/predictions/${mood.name}`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      json: { key, request: { hour: Math.floor(this.#random() * 24) } },
    });
  }
}

function acknowledge(write: Write, answer: Answer): void {
  const now = moment();
  write.committed = now;
  write.acknowledged = now;
  const token = tokenOf(answer);
  if (token !== undefined) write.token = token;
}

function answeredOf(operation: Operation, begunMs: number, answer: Answer | NoAnswer): Answered {
  const afterMs = performance.now() - begunMs;
  if (typeof answer === 'string') return { operation, begunMs, afterMs, status: undefined };
  const code: unknown = Reflect.get(Object(answer.body), 'code');
  return {
    ...{ operation, begunMs, afterMs, status: answer.status, mark: markOf(answer) },
    code: typeof code === 'string' ? code : undefined,
    hasRetryAfter: headerOf(answer, 'retry-after') !== undefined,
  };
}

/** How an answer says that it stands in for the usual one. */
function markOf({ headers, body, status }: Answer): string | undefined {
  if (status !== 200) return undefined;
  const degraded: unknown = Reflect.get(Object(body), 'degraded');
  if (typeof degraded === 'string') return degraded;
  const cache = headers['cache-status'];
  if (typeof cache !== 'string' || !isMarked(cache)) return undefined;
  return /detail=([\w-]+)/.exec(cache)?.[1];
}

import * as z from 'zod';
import { expectedSpendBundle, moodBundle } from '../models/outside.ts';
import { KEY, type Stack } from '../node/stack.ts';
import type { Route, Trouble } from './table.ts';

/** Method, path, body and headers of a request. */
type Asked = readonly [
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
];

const Runs = z.object({ runs: z.array(z.object({ id: z.string(), endedAt: z.string().nullable() })) });

const STRONG = { 'millrace-consistency': 'strong' };

export interface Answered {
  readonly status: number;
  readonly afterMs: number;
  /** The code of a problem; else what `Cache-Status` says of the answer. */
  readonly detail: string;
}

/** A client of `test/support/worker/troubled.ts`. */
export class Client {
  readonly #stack: Pick<Stack, 'fetch' | 'caller'>;

  constructor(stack: Pick<Stack, 'fetch' | 'caller'>) {
    this.#stack = stack;
  }

  /** Replaces what is wrong with the peers. Breakers that are open close, unless they are kept. */
  async trouble(
    troubles: Readonly<Record<string, Trouble>>,
    { breakers }: { readonly breakers?: 'keep' } = {},
  ): Promise<void> {
    const path = `/test/troubles${breakers === undefined ? '' : `?breakers=${breakers}`}`;
    await this.#stack.fetch(path, { method: 'PUT', body: JSON.stringify(troubles) });
  }

  async #send(isolate: string, [method, path, body, headers]: Asked): Promise<Response> {
    return await this.#stack.fetch(path, {
      method,
      headers: { isolate, authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Sends a request that has to succeed. */
  async prepare(isolate: string, [method, path, json, headers]: Asked): Promise<void> {
    const asked = { json, headers: { isolate, ...headers } };
    const { status, text } = await this.#stack.caller.ask(method, path, asked);
    if (status > 299) throw new Error(`${method} ${path} answered ${status}: ${text}`);
  }

  async timed(isolate: string, asked: Asked): Promise<Answered> {
    const begun = performance.now();
    const response = await this.#send(isolate, asked);
    const afterMs = Math.round(performance.now() - begun);
    const { status, headers } = response;
    if (headers.get('content-type') === 'text/event-stream') {
      await response.body?.cancel();
      return { status, afterMs, detail: 'stream' };
    }
    const code = /"(?:code|degraded)":"(\w+)"/.exec(await response.text())?.[1];
    return { status, afterMs, detail: code ?? headers.get('cache-status') ?? '' };
  }

  /** Ends the trainings of earlier scenarios: a model has one run at a time. */
  async endTrainings(isolate: string): Promise<void> {
    const { json } = await this.#stack.caller.ask('GET', '/v1/training', { headers: { isolate } });
    for (const { id, endedAt } of Runs.parse(json).runs)
      if (endedAt === null) await this.prepare(isolate, ['POST', `/v1/training/${id}/cancel`]);
  }

  /** Publishes a model with a fallback and one without. */
  async publish(): Promise<void> {
    const bundles = { mood: await moodBundle(), 'expected-spend': await expectedSpendBundle() };
    for (const [name, bundle] of Object.entries(bundles))
      await this.prepare('publisher', ['PUT', `/v1/admin/models/${name}/champion`, bundle]);
  }
}

/** The isolates of a scenario: one that has answered before, and one that has not. */
export function isolatesOf(n: number): { readonly known: string; readonly fresh: string } {
  return { known: `known ${n}`, fresh: `fresh ${n}` };
}

/** Writes and reads what the routes of scenario `n` need, while all peers are well. */
export async function prepareScenario(client: Client, n: number): Promise<void> {
  const { known } = isolatesOf(n);
  const prepare = (...asked: Asked) => client.prepare(known, asked);
  // What the relay began in an earlier scenario ends.
  await prepare('POST', '/v1/admin/outbox/sweep');
  await client.endTrainings(known);
  for (const name of ['hit', 'void', 'voidStrong', 'new', 'put', 'delete', 'pending'])
    await prepare('PUT', `/v1/products/P${n}-${name}`, { description: null, unitPrice: 1 });
  await prepare('PUT', `/v1/customers/C${n}`, { country: `Hit${n}` });
  await prepare('PUT', `/v1/customers/V${n}`, { country: `Void${n}` });
  const reads = [
    ...['hit', 'void', 'voidStrong'].map((name) => `/v1/products/P${n}-${name}`),
    ...['Hit', 'Void'].map((name) => `/v1/customers?country=${name}${n}`),
    ...['C', 'V'].map((name) => `/v1/customers/${name}${n}/expected-spend`),
  ];
  for (const path of reads) await prepare('GET', path, undefined, STRONG);
  await prepare('POST', '/v1/predictions/mood', { key: `C${n}`, request: { hour: 1 } });
  const tags = [
    `product:P${n}-void`,
    `product:P${n}-voidStrong`,
    `customer:V${n}`,
    `features:customer:V${n}`,
  ];
  await prepare('POST', '/v1/admin/cache/purge', { tags });
  // The isolate hears of the purge.
  await prepare('GET', `/v1/products/P${n}-hit`, undefined, STRONG);
}

/** Commits a change. While a peer of the relay is in trouble, the change stays in the outbox, so that a sweep has work. */
export async function commitPending(client: Client, n: number): Promise<Answered> {
  const path = `/v1/products/P${n}-pending`;
  return await client.timed(isolatesOf(n).known, ['PUT', path, { description: null, unitPrice: 2 }]);
}

/** The request of each route, and the isolate that answers it. */
export function requestsOf(n: number): Record<Route, readonly [isolate: string, asked: Asked]> {
  const { known, fresh } = isolatesOf(n);
  const get = (path: string, headers = {}) => [known, ['GET', path, undefined, headers]] as const;
  const post = (path: string, body?: unknown, headers = {}) =>
    [known, ['POST', path, body, headers]] as const;
  const event = (id: string, headers = {}) =>
    post(
      '/v1/events',
      {
        specversion: '1.0',
        id: `${n}-${id}`,
        source: '/peers',
        type: 'shop.purchase.v1',
        data: {
          invoice: '1',
          sku: `E${n}`,
          description: 'A',
          quantity: 1,
          unitPrice: 2,
          customerId: `E${n}`,
          country: 'UK',
        },
      },
      { 'content-type': 'application/cloudevents+json', ...headers },
    );
  const mood = { key: `C${n}`, request: { hour: 1 } };
  return {
    'cached view': get(`/v1/products/P${n}-hit`),
    'cached view, strong': get(`/v1/products/P${n}-hit`, STRONG),
    'invalidated view': get(`/v1/products/P${n}-void`),
    'invalidated view, strong': get(`/v1/products/P${n}-voidStrong`, STRONG),
    'view, not cached': get(`/v1/products/P${n}-new`),
    'view, new isolate': [fresh, ['GET', `/v1/products/P${n}-hit`]],
    'cached list': get(`/v1/customers?country=Hit${n}`),
    'invalidated list': get(`/v1/customers?country=Void${n}`),
    'cached model path': get(`/v1/customers/C${n}/expected-spend`),
    'invalidated model path': get(`/v1/customers/V${n}/expected-spend`),
    'model path, not cached': get(`/v1/customers/N${n}/expected-spend`),
    'prediction, model loaded': post('/v1/predictions/mood', mood),
    'prediction, model not loaded, with a fallback': [fresh, ['POST', '/v1/predictions/mood', mood]],
    'prediction, model not loaded': [fresh, ['POST', '/v1/predictions/expected-spend', { key: `C${n}` }]],
    'features read': post('/v1/features/read', { entity: 'customer', keys: [`C${n}`] }),
    'live feed': get('/v1/changes'),
    'status of an event': get('/v1/events/%2Fpeers/none'),
    event: event('queued'),
    'event, `Prefer: wait`': event('waiting', { prefer: 'wait' }),
    PUT: [known, ['PUT', `/v1/products/P${n}-put`, { description: null, unitPrice: 2 }]],
    'PUT, `Idempotency-Key`': [
      known,
      [
        'PUT',
        `/v1/products/P${n}-put`,
        { description: null, unitPrice: 2 },
        { 'idempotency-key': crypto.randomUUID() },
      ],
    ],
    DELETE: [known, ['DELETE', `/v1/products/P${n}-delete`]],
    purge: post('/v1/admin/cache/purge', { tags: [`other:${n}`] }),
    'start of a training': post('/v1/training', { model: 'expected-spend' }),
    'sweep of the outbox': post('/v1/admin/outbox/sweep'),
    'report on the pipeline': get('/v1/admin/pipeline'),
    'digest of the features': get('/v1/admin/features/digest'),
    'list of the quarantine': get('/v1/admin/quarantine'),
    'report on Kafka': get('/v1/admin/kafka'),
    'statistics of the cache': get('/v1/admin/cache/stats'),
    'lineage events': get('/v1/lineage/events'),
    quality: get('/v1/quality'),
    'metrics of Prometheus': get('/metrics'),
    '/health/ready': get('/health/ready'),
    '/health/live': get('/health/live'),
  };
}

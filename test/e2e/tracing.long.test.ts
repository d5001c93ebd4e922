/** Traces of the built worker, as a receiver of OTLP gets them in protobuf. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { samples } from '../support/gateway/operations.ts';
import {
  attributeOf,
  type OtlpReceiver,
  type ReceivedSpan,
  startReceiver,
} from '../support/node/otlp-receiver.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';
import { AUTHORIZED, PurchaseClient, purchaseOf, strong } from './purchases.ts';

let receiver: OtlpReceiver;
let stack: Stack;
let client: PurchaseClient;
beforeAll(async () => {
  receiver = await startReceiver();
  stack = await startStack({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20c2VjcmV0, x-tenant = shop',
    OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
    OTEL_TRACES_SAMPLER_ARG: '0',
    // A busy machine is slow, and what is slow is kept whatever the sampler says.
    TRACE_SLOW_MS: '600000',
  });
  client = new PurchaseClient(stack);
  expect((await client.publishModel()).status).toBe(201);
  // The client of the product records all its calls. What it is traced for here is not what these tests are about.
  await client.folded('alice', 0).catch(() => undefined);
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

/** The span of a caller outside. */
interface Caller {
  readonly traceId: string;
  readonly spanId: string;
}
const newCaller = (): Caller => ({
  traceId: randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex'),
});
const traced = ({ traceId, spanId }: Caller, flags = '01') => ({
  ...AUTHORIZED,
  traceparent: `00-${traceId}-${spanId}-${flags}`,
});
const spansOf = ({ traceId }: Caller) => receiver.spans.filter((span) => span.traceId === traceId);
const recommendations = '/v1/customers/alice/recommendations';

async function send(caller: Caller, event: object, headers: Record<string, string> = {}): Promise<Response> {
  return await stack.fetch('/v1/events', {
    method: 'POST',
    headers: { ...traced(caller), 'content-type': 'application/cloudevents+json', ...headers },
    body: JSON.stringify(event),
  });
}

/** The names of the spans from a span up to that of the caller; undefined if one is missing. */
function pathTo(span: ReceivedSpan, caller: Caller): string[] | undefined {
  const byId = new Map(spansOf(caller).map((one) => [one.spanId, one]));
  const names: string[] = [];
  for (let at: ReceivedSpan | undefined = span; at !== undefined; at = byId.get(at.parentSpanId ?? '')) {
    names.unshift(at.name);
    if (at.parentSpanId === caller.spanId) return names;
  }
  return undefined;
}

it('a purchase is one unbroken trace, from the request to the recommendation that came of it', async () => {
  const caller = newCaller();
  expect((await send(caller, purchaseOf('alice', '10001A'))).status).toBe(202);
  await client.folded('alice', 1);
  const refreshed = await eventually(
    () => stack.fetch(recommendations, { headers: { ...traced(caller), ...strong } }),
    ({ headers }) => headers.get('cache-status')?.includes('fwd=') === true,
  );
  expect(await refreshed.json()).toMatchObject({ customer: 'alice' });
  expect(refreshed.headers.get('traceresponse')).toMatch(
    new RegExp(`^00-${caller.traceId}-[\\da-f]{16}-01$`),
  );

  const wanted = [
    ['POST /v1/events', 'send millrace-events', 'process millrace-events', 'BATCH postgresql'],
    ['POST /v1/events', 'send millrace-events', 'process millrace-events', 'relay outbox'],
    [
      ...['POST /v1/events', 'send millrace-events', 'process millrace-events', 'relay outbox'],
      ...['root-clock/invalidateTags', 'tag-clock/invalidateTags'],
    ],
    [
      ...['POST /v1/events', 'send millrace-events', 'process millrace-events', 'relay outbox'],
      ...['process millrace-changes', 'feature-shard/fold', 'feature-shard/fold'],
    ],
    [
      ...['POST /v1/events', 'send millrace-events', 'process millrace-events', 'relay outbox'],
      ...['process millrace-changes', 'root-clock/invalidateTags', 'tag-clock/invalidateTags'],
    ],
    [
      ...['GET /v1/customers/{id}/recommendations', 'cache read ranker', 'fill ranker', 'predict ranker'],
      ...['feature-shard/readWithFolds', 'feature-shard/readWithFolds'],
    ],
  ];
  await eventually(
    async () => spansOf(caller).map((span) => pathTo(span, caller)?.join(' > ') ?? 'broken'),
    (paths) => wanted.every((path) => paths.includes(path.join(' > '))) && !paths.includes('broken'),
    60_000,
  );
  expect(receiver.headers).toMatchObject({ authorization: 'Basic c2VjcmV0', 'x-tenant': 'shop' });
});

it('a read in another trace names the event that it shows', async () => {
  const [buyer, reader] = [newCaller(), newCaller()];
  await send(buyer, purchaseOf('alice', '10002B'));
  await client.folded('alice', 2);
  await eventually(
    async () => {
      await stack.fetch(recommendations, { headers: { ...traced(reader), ...strong } });
      const read = spansOf(reader).filter(
        ({ name, kind }) => name === 'feature-shard/readWithFolds' && kind === 2,
      );
      return read.flatMap(({ links }) => links.map(({ traceId }) => traceId));
    },
    (linked) => linked.includes(buyer.traceId),
  );
});

it('the traces of events that are stored together each go on, linked with the work that they share', async () => {
  const callers = Array.from({ length: 6 }, newCaller);
  const waiting = { prefer: 'wait' };
  await Promise.all(callers.map((caller, at) => send(caller, purchaseOf(`many-${at}`, '10003C'), waiting)));
  // Isolates export their spans one after the other, so for a moment some are missing.
  await eventually(
    async () =>
      callers.map((caller) => spansOf(caller).map((span) => pathTo(span, caller)?.at(-1) ?? 'broken')),
    (names) => names.every((own) => own.includes('process millrace-changes') && !own.includes('broken')),
    60_000,
  );
  const shared = callers.flatMap((caller) => spansOf(caller).filter(({ links }) => links.length > 0));
  const known = new Set(callers.map(({ traceId }) => traceId));
  for (const { links } of shared) for (const { traceId } of links) expect(known).toContain(traceId);
  expect(shared.length).toBeGreaterThan(0);
});

it('what nobody samples is not exported, and what is exported names nobody', async () => {
  const unsampled = newCaller();
  await stack.fetch('/v1/products/10001A', { headers: traced(unsampled, '00') });
  const sampled = newCaller();
  await stack.fetch('/v1/customers/alice', { headers: traced(sampled) });
  await eventually(
    async () => spansOf(sampled).length,
    (count) => count > 0,
  );
  expect(spansOf(unsampled)).toEqual([]);
  const told = JSON.stringify(receiver.spans.map(({ name, attributes }) => [name, attributes]));
  for (const personal of ['alice', 'many-', '10001A', 'e2e-', 'UK']) expect(told).not.toContain(personal);
  const [read] = spansOf(sampled).filter(({ kind }) => kind === 2);
  expect(read && attributeOf(read, 'http.route')).toBe('/v1/customers/{id}');
});

it('a prediction that is sent, and an inference, have a span that says what made them', async () => {
  const known = await samples();
  const sent = async (name: string, caller: Caller) => {
    const { path = '', body } = known[name] ?? {};
    const [method = ''] = name.split(' ', 1);
    const headers = { ...traced(caller), 'content-type': 'application/json' };
    return (await stack.fetch(path, { method, headers, body: JSON.stringify(body) })).status;
  };
  expect(await sent('PUT /v1/admin/models/{model}/champion', newCaller())).toBe(201);
  for (const [name, route] of [
    ['POST /v1/predictions/expected-spend', 'POST /v1/predictions/{model}'],
    ['POST /v2/models/{model}/infer', 'POST /v2/models/{model}/infer'],
  ] as const) {
    const caller = newCaller();
    expect(await sent(name, caller)).toBe(200);
    const isPredict = ({ name: of }: ReceivedSpan) => of === 'predict expected-spend';
    const spans = await eventually(
      async () => spansOf(caller),
      (all) => all.some(isPredict) && all.some(({ kind }) => kind === 2),
    );
    const [predict] = spans.filter(isPredict);
    expect(predict && pathTo(predict, caller)).toEqual([route, 'predict expected-spend']);
    expect(predict && attributeOf(predict, 'millrace.model.version')).toMatch(/^[\da-f]/);
  }
});

it('no request waits for a receiver that hangs, and exports go on when it answers', async () => {
  receiver.mode = 'hang';
  const before = receiver.exports;
  const caller = newCaller();
  await stack.fetch('/v1/products', { headers: traced(caller) });
  await eventually(
    async () => receiver.exports,
    (exports) => exports > before,
  );
  const startedMs = performance.now();
  for (let read = 0; read < 20; read += 1)
    expect((await stack.fetch('/v1/products', { headers: traced(newCaller()) })).status).toBe(200);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  receiver.mode = 'take';
  await eventually(
    async () => {
      await stack.fetch('/v1/products', { headers: traced(newCaller()) });
      return spansOf(caller).length;
    },
    (count) => count > 0,
    30_000,
  );
});

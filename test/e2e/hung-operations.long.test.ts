import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { SCOPES } from '../../src/define/principal.ts';
import { type Sample, samples } from '../support/gateway/operations.ts';
import { FIXTURE } from '../support/node/fixture.ts';
import { partOf } from '../support/node/part.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';
import { HUNG, type HungPeer, type Owed, PEERS } from '../support/peers/operations.ts';
import { besideSamples, judged, type Measured } from '../support/peers/standstill.ts';

/** Within this time every operation answers that the table does not list, in milliseconds. */
const SOON_MS = 1_000;
/** What a request may take beside its waits on a quiet machine, in milliseconds. */
const WORK_MS = 1_000;
/** A version is loaded and measured some twenty times before it is registered: work, and no wait. In milliseconds. */
const REGISTERED_MS = 5_000;
const REGISTRATIONS = ['PUT /v1/admin/models/{model}/champion', 'POST /v1/admin/models/{model}/versions'];
/** Operations that are asked for at once: their requests wait for deadlines, and work little. A machine that stands still then gets fewer. */
const AT_ONCE = 128;
/** Of the form of a token, so that the issuer is asked for its keys. */
const TOKEN = 'eyJhbGciOiJSUzI1NiIsImtpZCI6Im9uZSJ9.eyJzdWIiOiJhIn0.AAAA';

const Document = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
        parameters: z.array(z.object({ name: z.string() })).optional(),
      }),
    ),
  ),
});
interface Operation extends Sample {
  readonly name: string;
  readonly isGuarded: boolean;
  readonly takesIdempotencyKey: boolean;
}

let stack: Stack;
let operations: readonly Operation[];
let key: string;
const bridge = createServer((_, response) => response.end('{}'));

beforeAll(async () => {
  await new Promise<void>((resolve) => bridge.listen(0, '127.0.0.1', resolve));
  // A server that listens on a port has an address object.
  const { port } = bridge.address() as AddressInfo;
  stack = await startStack(
    {
      KAFKA_REST_URL: `http://127.0.0.1:${port}/kafka`,
      KAFKA_REST_USERNAME: 'user',
      KAFKA_REST_PASSWORD: 'password',
      KAFKA_SOURCE_TOPICS: 'events',
      OIDC_ISSUER: 'https://issuer.test/',
      OIDC_AUDIENCE: 'millrace',
      OIDC_JWKS_URL: `http://127.0.0.1:${port}/issuer`,
    },
    { served: { ...FIXTURE, main: 'test/support/worker/troubled.ts' } },
  );
  operations = await readOperations();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  bridge.closeAllConnections();
  bridge.close();
});

async function admin(method: string, path: string, body?: unknown) {
  const response = await stack.fetch(path, {
    method,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect([path, response.status < 300]).toEqual([path, true]);
  return (await response.json()) as unknown;
}

/** The operations of the document with their samples, and what the samples need. */
async function readOperations(): Promise<Operation[]> {
  const known = await samples();
  const { paths } = Document.parse(await admin('GET', '/openapi.json'));
  for (const name of ['M1', 'M2']) {
    await admin('PUT', `/v1/products/${name}`, { description: null, unitPrice: 1 });
    await admin('PUT', `/v1/customers/${name}`, { country: 'UK' });
  }
  const champion = known['PUT /v1/admin/models/{model}/champion'];
  await admin('PUT', champion?.path ?? '', champion?.body);
  const { versions } = z
    .object({ versions: z.array(z.string()).min(1) })
    .parse(await admin('GET', '/v2/models/expected-spend'));
  const keys = await admin('POST', '/v1/admin/keys', {
    name: 'peers',
    scopes: SCOPES,
    claims: { customer: '*' },
  });
  key = z.object({ key: z.string() }).parse(keys).key;
  const found = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security = [], parameters = [] }]) => {
      const name = `${method.toUpperCase()} ${path}`;
      const sample = known[name];
      if (sample === undefined)
        throw new Error(`${name} has no sample in test/support/gateway/operations.ts.`);
      return {
        ...sample,
        name,
        path: sample.path.replace('VERSION', versions[0] ?? ''),
        isGuarded: security.every((one) => Object.keys(one).length > 0) && security.length > 0,
        takesIdempotencyKey: parameters.some((parameter) => parameter.name === 'idempotency-key'),
      };
    }),
  );
  return found;
}

interface Answered {
  readonly status: number;
  readonly afterMs: number;
  readonly text: string;
}

async function ask(operation: Operation, peer: HungPeer | undefined, isolate: string): Promise<Answered> {
  const { name, path, body, type } = operation;
  const credential = peer === 'issuer' ? TOKEN : peer === 'rate-limiter' ? key : KEY;
  const begun = performance.now();
  const response = await stack.fetch(path, {
    method: name.split(' ', 1)[0] ?? '',
    headers: {
      isolate,
      authorization: `Bearer ${credential}`,
      ...(peer === undefined ? {} : { hanging: peer }),
      ...(body === undefined ? {} : { 'content-type': type ?? 'application/json' }),
      ...(peer === 'idempotency' && operation.takesIdempotencyKey
        ? { 'idempotency-key': crypto.randomUUID() }
        : {}),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000),
  });
  const afterMs = Math.round(performance.now() - begun);
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (isStream) await response.body?.cancel();
  return { status: response.status, afterMs, text: isStream ? '' : (await response.text()).slice(0, 200) };
}

function owedBy(operation: Operation, peer: HungPeer): Owed {
  const exception = HUNG[peer]?.[operation.name];
  if (exception !== undefined) return exception;
  // Without the keys of the issuer no token is valid or invalid.
  if (peer === 'issuer' && operation.isGuarded) return [[503], 4_000];
  if (peer === 'idempotency' && operation.takesIdempotencyKey) return [[503], 2_000];
  return [operation.statuses, REGISTRATIONS.includes(operation.name) ? REGISTERED_MS : SOON_MS];
}

/** Asks for all operations, some at once, in an isolate that has answered before. */
async function mistakesWhile(peer: HungPeer, atOnce: number): Promise<Measured> {
  const isolate = `hanging ${peer}`;
  // The answers of views are cached then, and the model is in memory.
  const warm = operations.filter(({ name }) =>
    /^(GET \/v1\/(products|customers|account)|POST \/v1\/predictions\/)/.test(name),
  );
  for (const one of warm) await ask(one, undefined, isolate);
  const queue = operations.values();
  const answers: { operation: Operation; got: Answered }[] = [];
  const next = async () => {
    for (const operation of queue) answers.push({ operation, got: await ask(operation, peer, isolate) });
  };
  const [, slowestMs] = await besideSamples(
    async () => await (await stack.fetch('/health/live', { headers: { isolate } })).body?.cancel(),
    () => Promise.all(Array.from({ length: atOnce }, next)),
  );
  const slackMs = WORK_MS + 3 * slowestMs;
  const wrong = answers.flatMap(({ operation, got }) => {
    const [statuses, withinMs] = owedBy(operation, peer);
    if (statuses.includes(got.status) && got.afterMs <= withinMs + slackMs) return [];
    return [
      `${peer}: ${operation.name}: ${got.status} after ${got.afterMs} ms instead of ${statuses.join(' or ')} within ${withinMs} ms: ${got.text}`,
    ];
  });
  return { wrong, slowestMs };
}

it('the table names only peers and operations that there are', () => {
  for (const peer of Object.keys(HUNG)) expect(PEERS).toContain(peer);
  const names = operations.map(({ name }) => name);
  for (const listed of Object.values(HUNG))
    expect(names).toEqual(expect.arrayContaining(Object.keys(listed)));
});

// Their requests wait for deadlines, and work little, so several peers are tried at once.
it.concurrent.each(partOf(PEERS, 8))(
  'every operation answers within its deadline while %s hangs',
  async (peer) => {
    const { wrong } = await judged((made) => mistakesWhile(peer, AT_ONCE / 4 ** made));
    expect(wrong).toEqual([]);
  },
);

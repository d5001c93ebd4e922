import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { SCOPES } from '../../src/define/principal.ts';
import { type Sample, samples } from '../support/gateway/operations.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

/**
 * The same matrix over every operation of the OpenAPI document. An operation without a sample in
 * `test/support/gateway/operations.ts` fails.
 */
const Operation = z.object({
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
  requestBody: z.unknown().optional(),
  parameters: z.array(z.object({ name: z.string() })).optional(),
  responses: z.record(z.string(), z.unknown()),
});
const Document = z.object({ paths: z.record(z.string(), z.record(z.string(), Operation)) });
const Problem = z.object({ code: z.string(), status: z.int(), requestId: z.string().min(1) });

interface Case extends Sample {
  readonly name: string;
  readonly method: string;
  /** The scope of a guarded operation. */
  readonly scope: string | undefined;
  readonly documented: readonly number[];
  readonly takesIdempotencyKey: boolean;
}

let stack: Stack;
let cases: readonly Case[];
const known = await samples();

beforeAll(async () => {
  stack = await startStack();
  const { paths } = Document.parse(await (await stack.fetch('/openapi.json')).json());
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const,
    ),
  );
  expect(operations.map(([name]) => name).sort()).toEqual(Object.keys(known).sort());
  cases = operations.map(([name, { security = [], parameters = [], responses }]) => {
    const sample = known[name];
    if (sample === undefined) throw new Error(`${name} has no sample.`);
    const scope = security.every((one) => Object.keys(one).length > 0)
      ? security[0]?.['key']?.[0]
      : undefined;
    return {
      ...sample,
      name,
      method: name.split(' ', 1)[0] ?? '',
      scope,
      documented: Object.keys(responses).map(Number),
      takesIdempotencyKey: parameters.some((parameter) => parameter.name === 'idempotency-key'),
    };
  });
  const version = await prepare();
  cases = cases.map((one) => ({ ...one, path: one.path.replace('VERSION', version) }));
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

/** Rows and a model that the samples need. @returns the version of the model. */
async function prepare(): Promise<string> {
  const put = {
    method: 'PUT',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
  };
  for (const [path, body] of [
    ['/v1/products/M1', { description: null, unitPrice: 1 }],
    ['/v1/products/M2', { description: null, unitPrice: 1 }],
    ['/v1/customers/M1', { country: 'UK' }],
    ['/v1/customers/M2', { country: 'UK' }],
  ] as const)
    expect((await stack.fetch(path, { ...put, body: JSON.stringify(body) })).status).toBeLessThan(300);
  const champion = known['PUT /v1/admin/models/{model}/champion'];
  const published = await stack.fetch(champion?.path ?? '', { ...put, body: JSON.stringify(champion?.body) });
  expect(published.status).toBe(201);
  await published.body?.cancel();
  const described = await stack.fetch('/v2/models/expected-spend', { headers: put.headers });
  const { versions } = z.object({ versions: z.array(z.string()).min(1) }).parse(await described.json());
  return versions[0] ?? '';
}

async function keyWith(scopes: readonly string[], more: Record<string, unknown> = {}) {
  const response = await stack.fetch('/v1/admin/keys', {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'matrix', scopes, ...more }),
  });
  return z.object({ id: z.string(), key: z.string() }).parse(await response.json());
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function send(
  { method, path, body, type }: Case,
  change: {
    key?: string | undefined;
    method?: string;
    path?: string;
    body?: string;
    type?: string;
    headers?: Record<string, string>;
  } = {},
): Promise<Answer> {
  const given = change.body ?? (body === undefined ? undefined : textOf(body));
  const response = await stack.fetch(change.path ?? path, {
    method: change.method ?? method,
    headers: {
      ...(change.key === undefined ? {} : { authorization: `Bearer ${change.key}` }),
      ...(given === undefined ? {} : { 'content-type': change.type ?? type ?? 'application/json' }),
      ...change.headers,
    },
    ...(given === undefined ? {} : { body: given }),
  });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (isStream) await response.body?.cancel();
  return { status: response.status, headers: response.headers, text: isStream ? '' : await response.text() };
}

function textOf(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}

/** Sends one request for each operation, and compares all answers at once, so that a failure shows the whole column. */
async function column(
  chosen: readonly Case[],
  ask: (one: Case) => Promise<Answer>,
  expected: (one: Case) => string,
): Promise<void> {
  const found: Record<string, string> = {};
  const wanted: Record<string, string> = {};
  for (const one of chosen) {
    const { status, text } = await ask(one);
    const problem = Problem.safeParse(text.startsWith('{') ? JSON.parse(text) : undefined);
    if (status === 500) throw new Error(`${one.name} answered 500: ${text}`);
    found[one.name] = problem.success ? `${status} ${problem.data.code}` : String(status);
    // The Open Inference Protocol has a body without a code, and 400 in place of 422.
    const wants = expected(one);
    wanted[one.name] = one.path.startsWith('/v2') ? wants.slice(0, 3) : wants;
  }
  expect(found).toEqual(wanted);
}

const guarded = () => cases.filter(({ scope }) => scope !== undefined);
const withJson = () =>
  cases.filter(({ body, type }) => body !== undefined && type !== 'application/octet-stream');

describe('every operation', () => {
  it('answers its sample with a documented status, for a key that has no other scope', async () => {
    const others: unknown[] = [];
    for (const one of cases) {
      const all = { claims: { customer: '*' } };
      const key = one.scope === undefined ? undefined : (await keyWith([one.scope], all)).key;
      const { status, text } = await send(one, { key });
      if (!one.statuses.includes(status) || !one.documented.includes(status))
        others.push([one.name, status, text, one.documented]);
    }
    expect(others).toEqual([]);
  });

  it('is closed without a key, unless it is public', async () => {
    await column(
      guarded(),
      async (one) => await send(one),
      () => '401 unauthorized',
    );
  });

  it('is closed to a key that is malformed, unknown, expired, revoked or rotated', async () => {
    const every = [...SCOPES];
    const revoked = await keyWith(every);
    const rotated = await keyWith(every);
    const authorization = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    await stack.fetch(`/v1/admin/keys/${revoked.id}`, { method: 'DELETE', headers: authorization });
    await stack.fetch(`/v1/admin/keys/${rotated.id}/rotate`, {
      method: 'POST',
      headers: authorization,
      body: '{"overlapS":0}',
    });
    const expiresAt = new Date(Date.now() + 1_500).toISOString();
    const expired = await keyWith(every, { expiresAt });
    while (Date.now() < Date.parse(expiresAt)) await new Promise((resolve) => setTimeout(resolve, 50));
    for (const key of ['not-a-key', revoked.key, rotated.key, expired.key])
      await column(
        guarded(),
        async (one) => await send(one, { key }),
        () => '401 unauthorized',
      );
  });

  it('is closed to a key that has every scope but its own', async () => {
    const keyOf = new Map<string, string>();
    for (const scope of SCOPES)
      keyOf.set(scope, (await keyWith(SCOPES.filter((other) => other !== scope))).key);
    await column(
      guarded(),
      async (one) => await send(one, { key: keyOf.get(one.scope ?? '') }),
      () => '403 insufficient_scope',
    );
  });

  it('answers 405 with Allow to a method that its path does not have', async () => {
    await column(
      cases,
      async (one) => {
        const answer = await send({ ...one, body: undefined }, { key: KEY, method: 'PATCH' });
        expect(answer.headers.get('allow')).toContain(one.method);
        return answer;
      },
      () => '405 method_not_allowed',
    );
  });

  it('refuses a body that is not JSON', async () => {
    await column(
      withJson(),
      async (one) => await send(one, { key: KEY, body: '{"a":' }),
      () => '400 malformed_json',
    );
  });

  it('refuses a body of another media type', async () => {
    await column(
      cases.filter((one) => one.body !== undefined && one.takesAnyType !== true),
      async (one) => await send(one, { key: KEY, type: 'text/csv' }),
      () => '415 unsupported_media_type',
    );
  });

  it('refuses a body that is larger than its limit', async () => {
    await column(
      cases.filter(({ bytesMax }) => bytesMax !== undefined),
      async (one) => await send(one, { key: KEY, body: `"${'x'.repeat(one.bytesMax ?? 0)}"` }),
      () => '413 body_too_large',
    );
  });

  it('refuses a JSON body of another form', async () => {
    await column(
      withJson().filter(({ name }) => name !== 'POST /v1/events'),
      async (one) => await send(one, { key: KEY, body: '[[{"unknown":true}]]' }),
      ({ wrongForm }) => wrongForm ?? '400 invalid_request',
    );
  });

  it('is closed to a key that is limited to rows, unless it limits its rows itself', async () => {
    const { key } = await keyWith(SCOPES, { claims: { another: 'x' } });
    const others: unknown[] = [];
    for (const one of guarded()) {
      const { status, text } = await send(one, { key });
      const isRefused = /"code":"(claim_missing|outside_rows|rows_not_limited)"|^\{"error":/.test(text);
      if (status !== 403 || !isRefused) others.push([one.name, status, text]);
    }
    expect(others).toEqual([]);
  });

  it('is refused to a key whose quota is used up', async () => {
    const { key } = await keyWith(SCOPES, { quotas: { day: 1 }, claims: { customer: '*' } });
    await column(
      // The address pays for metrics, which may be public.
      guarded().filter(({ name }) => name !== 'GET /metrics'),
      async (one) => {
        // An answer from memory costs the one unit that there is.
        await send(one, { key });
        const answer = await send(one, { key });
        expect([one.name, answer.headers.get('retry-after')]).toEqual([
          one.name,
          expect.stringMatching(/^\d+$/),
        ]);
        return answer;
      },
      () => '429 rate_limited',
    );
  });

  it('is carried out once under an idempotency key, and refuses the key with another request', async () => {
    const takers = cases.filter(({ takesIdempotencyKey }) => takesIdempotencyKey);
    expect(takers.length).toBeGreaterThan(10);
    const others: unknown[] = [];
    for (const one of takers) {
      const ofKey = { 'idempotency-key': crypto.randomUUID() };
      const ask = (headers = {}) => send(one, { key: KEY, headers: { ...ofKey, ...headers } });
      const first = await ask();
      const again = await ask();
      // The lane is a part of what makes a request the same.
      const reused = await ask({ 'millrace-lane': 'bulk' });
      const isReplayed = again.headers.get('idempotency-replayed') === 'true' && again.text === first.text;
      const isRefused = reused.status === 422 && reused.text.includes('"idempotency_key_reused"');
      // A failure that passes is not kept.
      const isRight = first.status >= 500 ? !isReplayed : isReplayed && isRefused;
      if (first.status !== again.status || !isRight)
        others.push([one.name, first.status, again.status, reused.status, first.text, again.text]);
    }
    expect(others).toEqual([]);
  });
});

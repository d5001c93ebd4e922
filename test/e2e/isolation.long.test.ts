import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { expectedSpendBundle, moodBundle } from '../support/models/outside.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const ISSUER = 'https://issuer.test/';
const TENANTS = ['ada', 'bob', 'ADA', 'null'] as const;
type Tenant = (typeof TENANTS)[number];
/** Stands in crafted headers, and may stand in no answer. */
const CANARY = 'canary-7f3a';
const REQUESTS = 600;
const AT_ONCE = 12;

/** A sender: `owner` may read the rows of one tenant, null those of all, undefined none. */
interface Sender {
  readonly name: string;
  readonly credential: string | undefined;
  readonly owner: Tenant | null | undefined;
}

let stack: Stack;
let issuer: Server;
let senders: readonly Sender[] = [];
/** Each answer that a tenant's own key got while nobody else sent anything, by target and tenant. */
const right = new Map<string, string>();

beforeAll(async () => {
  const pair = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'RS256' };
  issuer = createServer((_, response) => response.end(JSON.stringify({ keys: [jwk] })));
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
  // A server that listens on a port has an address object.
  const { port } = issuer.address() as AddressInfo;
  stack = await startStack({
    LIMITS: 'off',
    OIDC_ISSUER: ISSUER,
    OIDC_AUDIENCE: 'millrace',
    OIDC_JWKS_URL: `http://127.0.0.1:${port}/keys`,
    OIDC_ROW_CLAIMS: 'customer',
  });
  await fillShop();
  const scopes = ['data:read', 'predictions:run'];
  const tokenOf = async (claims: Record<string, string>) =>
    await new SignJWT({ iss: ISSUER, aud: 'millrace', sub: 'someone', scope: scopes, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setExpirationTime('10 min')
      .sign(pair.privateKey);
  const keyOf = async (claims: Record<string, string>) => {
    const { text } = await send('POST', '/v1/admin/keys', KEY, { name: 'isolation', scopes, claims });
    return z.object({ key: z.string() }).parse(JSON.parse(text)).key;
  };
  const made: Sender[] = [
    { name: 'anonymous', credential: undefined, owner: undefined },
    { name: 'bootstrap', credential: KEY, owner: null },
    { name: 'all rows', credential: await keyOf({ customer: '*' }), owner: null },
    { name: 'no claims', credential: await keyOf({}), owner: undefined },
    { name: 'another claim', credential: await keyOf({ tenant: 'ada' }), owner: undefined },
    { name: 'a token with *', credential: await tokenOf({ customer: '*' }), owner: undefined },
  ];
  for (const owner of TENANTS) {
    made.push({ name: `key of ${owner}`, credential: await keyOf({ customer: owner }), owner });
    made.push({ name: `token of ${owner}`, credential: await tokenOf({ customer: owner }), owner });
  }
  senders = made;
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  issuer.close();
});

/** Rows of each tenant that differ in every column, events that make their features differ, and two models. */
async function fillShop(): Promise<void> {
  for (const [index, tenant] of TENANTS.entries()) {
    for (let line = 0; line <= index; line += 1) {
      const data = {
        invoice: `of-${tenant}-${line}`,
        sku: `sku-${index}`,
        description: 'A',
        quantity: 1 + index,
        unitPrice: 1.5,
        customerId: tenant,
        country: `country of ${tenant}`,
      };
      const id = `${tenant}-${line}`;
      const event = { specversion: '1.0', id, source: '/isolation', type: 'shop.purchase.v1', data };
      const { status } = await send('POST', '/v1/events', KEY, event, {
        'content-type': 'application/cloudevents+json',
        prefer: 'wait',
      });
      expect(status).toBe(201);
    }
  }
  for (const [name, bundle] of [
    ['mood', await moodBundle()],
    ['expected-spend', await expectedSpendBundle()],
  ] as const)
    expect((await send('PUT', `/v1/admin/models/${name}/champion`, KEY, bundle)).status).toBe(201);
}

interface Answer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly text: string;
}

/** Sends a path and headers as they are: `fetch` would refuse some and change others. */
async function send(
  method: string,
  path: string,
  credential: string | undefined,
  body?: unknown,
  more: Readonly<Record<string, string | readonly string[]>> = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const headers: Record<string, string | string[]> = {
    ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  for (const [name, value] of Object.entries(more))
    headers[name] = typeof value === 'string' ? value : [...value];
  const { hostname, port } = stack.url;
  const sent = httpRequest({ hostname, port, path, method, headers }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        headers: response.rawHeaders,
        text: textOf(Buffer.concat(chunks), response.headers['content-encoding']),
      }),
    );
  });
  sent.on('error', reject);
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  return await promise;
}

function textOf(bytes: Buffer, coding: string | undefined): string {
  if (bytes.byteLength === 0) return '';
  if (coding === 'gzip') return gunzipSync(bytes).toString();
  return (coding === 'br' ? brotliDecompressSync(bytes) : bytes).toString();
}

/** The entity tag without the mark of a compressed answer; undefined for none. */
function etagOf({ headers }: Answer): string | undefined {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'etag');
  return at < 0 ? undefined : headers[at + 1]?.replace(/^W\//, '');
}

/** What is asked for, for the rows of a tenant. `isOwn`: the request does not say whose rows they are. */
interface Target {
  readonly name: string;
  readonly isOwn?: boolean;
  readonly asked: (tenant: string) => readonly [method: string, path: string, body?: unknown];
}

const TARGETS: readonly Target[] = [
  { name: 'page', asked: (id) => ['GET', `/v1/customers/${id}`] },
  { name: 'purchases', asked: (id) => ['GET', `/v1/customers/${id}/purchases`] },
  { name: 'page of purchases', asked: (id) => ['GET', `/v1/customers/${id}/purchases?limit=1`] },
  { name: 'prediction at a path', asked: (id) => ['GET', `/v1/customers/${id}/expected-spend`] },
  { name: 'own rows', isOwn: true, asked: () => ['GET', '/v1/account'] },
  {
    name: 'features',
    asked: (id) => ['POST', '/v1/features/read', { entity: 'customer', keys: [id] }],
  },
  {
    name: 'prediction',
    asked: (id) => ['POST', '/v1/predictions/expected-spend', { key: id }],
  },
  {
    name: 'prediction with a request',
    asked: (id) => ['POST', '/v1/predictions/mood', { key: id, request: { hour: 3 } }],
  },
];

/** The parts of an answer that do not differ from one request to the next. */
function lasting(text: string): string {
  return (
    text
      // Predictions depend on the days since the last purchase.
      .replaceAll(/\d+\.\d+/g, (number) => Number(number).toFixed(2))
      .replaceAll(/"(?:asOf|ageMs)":\d+/g, '""')
      .replaceAll(/"(?:predictionId|requestId)":"[^"]*"/g, '""')
      .replaceAll(/"(?:days_since|ageS)":[\d.]+/g, '""')
  );
}

/** Other spellings of one path: a character of a segment in percent-encoding, upper or lower case. */
function spelled(path: string, bits: number): string {
  return path.replaceAll(/(?<=\/customers\/)[^/?]+/g, (id) =>
    [...id]
      .map((character, index) =>
        (bits >> (index % 8)) & 1 ? `%${character.charCodeAt(0).toString(16).toUpperCase()}` : character,
      )
      .join(''),
  );
}

/** Paths that some part of a server may take for the path of another. Each has to be refused. */
const OTHER_PATHS: readonly ((path: string) => string)[] = [
  (path) => path.replace('/v1/', '//v1/'),
  (path) => path.replace('/customers/', '/customers//'),
  (path) => path.replace('/customers/', '/CUSTOMERS/'),
  (path) => `${path.split('?')[0]}/`,
  (path) => `${path.split('?')[0]}%2F`,
  (path) => `${path.split('?')[0]}%00`,
  (path) => `${path.split('?')[0]};owner=bob`,
  (path) => `${path}${path.includes('?') ? '&' : '?'}owner=bob`,
  (path) => `${path}${path.includes('?') ? '&' : '?'}limit=1&limit=2`,
];

const CRAFTED = fc.dictionary(
  fc.constantFrom(
    ...['x-forwarded-host', 'x-forwarded-for', 'x-forwarded-proto', 'forwarded', 'x-original-url'],
    ...[
      'x-rewrite-url',
      'x-http-method-override',
      'origin',
      'referer',
      'cookie',
      'x-customer',
      'vary',
      'via',
    ],
    ...['x-millrace-principal', 'isolate'],
  ),
  fc.constantFrom(CANARY, `${CANARY}.test`, 'ada', 'bob', '/v1/customers/bob', 'DELETE'),
  { maxKeys: 4 },
);
const CACHING = fc.record(
  {
    host: fc.constantFrom(`${CANARY}.test`, 'bob', 'localhost:1'),
    range: fc.constantFrom('bytes=0-3', 'bytes=-4'),
    'accept-encoding': fc.constantFrom('gzip', 'br', 'identity'),
    'cache-control': fc.constantFrom('no-cache', 'no-store', 'only-if-cached', 'public'),
    'if-none-match': fc.constantFrom('*', '"0"'),
    'millrace-consistency': fc.constantFrom('strong', 'bounded', 'eventual'),
    'accept-language': fc.constantFrom('de', 'en'),
  },
  { requiredKeys: [] },
);
const REQUEST = fc.record({
  sender: fc.nat(99),
  target: fc.constantFrom(...TARGETS),
  tenant: fc.constantFrom(...TENANTS),
  isOwner: fc.constantFrom(true, true, false),
  spelling: fc.oneof(fc.constant(0), fc.nat(255)),
  otherPath: fc.option(fc.constantFrom(...OTHER_PATHS), { nil: undefined, freq: 8 }),
  isHead: fc.constantFrom(false, false, false, true),
  authorization: fc.constantFrom(
    ...(['usual', 'usual', 'usual', 'usual', 'twice', 'joined', 'basic'] as const),
  ),
  stolen: fc.constantFrom(false, false, true),
  headers: fc.tuple(CRAFTED, CACHING).map(([crafted, caching]) => ({ ...crafted, ...caching })),
});
type Drawn = typeof REQUEST extends fc.Arbitrary<infer T> ? T : never;

/** @returns what is wrong with the answer; undefined if nothing is. */
async function mistakeOf(drawn: Drawn, etags: string[]): Promise<string | undefined> {
  const sender = senders[drawn.sender % senders.length];
  if (sender === undefined) return undefined;
  const isOwn = drawn.isOwner || drawn.target.isOwn === true;
  const tenant = isOwn && typeof sender.owner === 'string' ? sender.owner : drawn.tenant;
  const [method, path, body] = drawn.target.asked(tenant);
  const isOther = drawn.otherPath !== undefined && method === 'GET' && drawn.target.isOwn !== true;
  const written =
    isOther && drawn.otherPath !== undefined ? drawn.otherPath(path) : spelled(path, drawn.spelling);
  const stolen = drawn.stolen ? etags[drawn.spelling % Math.max(1, etags.length)] : undefined;
  const more: Record<string, string | readonly string[]> = { ...drawn.headers };
  if (stolen !== undefined) more['if-none-match'] = stolen;
  const { credential } = sender;
  const isBroken = credential !== undefined && drawn.authorization !== 'usual';
  if (isBroken && drawn.authorization === 'twice')
    more['authorization'] = [`Bearer ${credential}`, `Bearer ${KEY}x`];
  if (isBroken && drawn.authorization === 'joined')
    more['authorization'] = `Bearer ${credential}, Bearer ${credential}`;
  if (isBroken && drawn.authorization === 'basic') more['authorization'] = `Basic ${credential}`;
  const asHead = drawn.isHead && method === 'GET';
  const answer = await send(asHead ? 'HEAD' : method, written, credential, body, more);
  const shown = `${sender.name}: ${method} ${written} ${JSON.stringify(more)} got ${answer.status} ${answer.text}`;
  if (`${answer.headers.join()}${answer.text}`.includes(CANARY)) return `A crafted header is shown. ${shown}`;
  const etag = etagOf(answer);
  if (etag !== undefined) etags.push(etag);
  if (answer.status >= 500) return `It failed. ${shown}`;
  const others = TENANTS.filter((other) => other !== sender.owner && sender.owner !== null);
  const leaked = others.find((other) => new RegExp(`of[ -]${other}\\b`).test(answer.text));
  if (leaked !== undefined) return `The rows of ${leaked} are shown. ${shown}`;
  if (answer.status >= 400) {
    const mayRead = !isBroken && sender.owner === tenant && !isOther;
    return mayRead && answer.status !== 412 ? `Its own rows are refused. ${shown}` : undefined;
  }
  if (isBroken) return `A broken credential was taken. ${shown}`;
  if (isOther) return `Another path was answered. ${shown}`;
  if (
    sender.owner === undefined ||
    (sender.owner !== null && sender.owner !== tenant && drawn.target.isOwn !== true)
  )
    return `A sender who may not read it was answered. ${shown}`;
  if (answer.status === 304 || asHead) {
    const own = etagsOfTargets.get(`${drawn.target.name} ${tenant}`);
    return own === undefined || etag === own
      ? undefined
      : `It has the entity tag of another answer. ${shown}`;
  }
  const wanted = right.get(`${drawn.target.name} ${tenant}`);
  return lasting(answer.text) === wanted ? undefined : `It is another answer than ${wanted}. ${shown}`;
}

const etagsOfTargets = new Map<string, string>();

it('no sender gets the answer of another from the built worker, whatever it sends, and none changes it', {
  timeout: 120_000,
}, async () => {
  const record = async () => {
    for (const target of TARGETS)
      for (const tenant of TENANTS) {
        const sender = senders.find(({ name }) => name === `key of ${tenant}`);
        const [method, path, body] = target.asked(tenant);
        const answer = await send(method, path, sender?.credential, body);
        expect([target.name, answer.status, answer.text]).toEqual([target.name, 200, answer.text]);
        const name = `${target.name} ${tenant}`;
        const known = right.get(name);
        if (known !== undefined) expect([name, lasting(answer.text)]).toEqual([name, known]);
        right.set(name, lasting(answer.text));
        const etag = etagOf(answer);
        if (etag !== undefined && !target.name.startsWith('prediction')) etagsOfTargets.set(name, etag);
      }
  };
  await record();
  // Answers of two tenants differ, or nothing could be found.
  for (const { name } of TARGETS)
    if (name !== 'prediction with a request')
      expect(new Set(TENANTS.map((tenant) => right.get(`${name} ${tenant}`))).size).toBe(TENANTS.length);
  const seed = Date.now() % 100_000;
  const etags: string[] = [];
  const drawn = fc.sample(REQUEST, { seed, numRuns: REQUESTS });
  for (let from = 0; from < drawn.length; from += AT_ONCE) {
    // Every entry becomes stale, so that the readers of this group share fills.
    if (from % (AT_ONCE * 4) === 0) await send('POST', '/v1/admin/cache/purge', KEY, { everything: true });
    const found = await Promise.all(drawn.slice(from, from + AT_ONCE).map((one) => mistakeOf(one, etags)));
    expect({ seed, mistakes: found.filter((mistake) => mistake !== undefined) }).toEqual({
      seed,
      mistakes: [],
    });
  }
  await record();
});

it('neither tickets nor idempotency keys of one sender serve another', async () => {
  const key = async (scopes: readonly string[]) => {
    const { text } = await send('POST', '/v1/admin/keys', KEY, { name: 'isolation', scopes });
    return z.object({ key: z.string() }).parse(JSON.parse(text)).key;
  };
  const [one, other] = [await key(['data:write', 'data:read']), await key(['data:write', 'data:read'])];
  const put = (credential: string, price: number) =>
    send(
      'PUT',
      '/v1/products/shared',
      credential,
      { description: null, unitPrice: price },
      {
        'idempotency-key': 'the-same',
      },
    );
  const first = await put(one, 1);
  const second = await put(other, 2);
  expect([first.status, second.status]).toEqual([201, 200]);
  expect(second.headers.map((name) => name.toLowerCase())).not.toContain('idempotency-replayed');
  const again = await put(one, 1);
  expect([again.status, again.text]).toEqual([first.status, first.text]);
  const limited = senders.find(({ name }) => name === 'key of ada')?.credential;
  for (const credential of [limited, senders.find(({ name }) => name === 'token of bob')?.credential])
    expect((await send('POST', '/v1/tickets', credential, { path: '/v1/changes' })).status).toBe(403);
  const ticket = z
    .object({ ticket: z.string() })
    .parse(JSON.parse((await send('POST', '/v1/tickets', one, { path: '/v1/changes' })).text)).ticket;
  for (const path of ['/v1/customers/ada', '/v1/account', '/v1/admin/keys', '/v1/inventory'])
    expect((await send('GET', `${path}?ticket=${ticket}`, undefined)).status).toBe(401);
  // The document is for everybody, and the same for everybody; the inventory is not.
  const documents = await Promise.all(
    senders.map(({ credential }) => send('GET', '/openapi.json', credential, undefined, { host: CANARY })),
  );
  expect(new Set(documents.map(({ text }) => text)).size).toBe(1);
  expect(documents[0]?.text).not.toContain(CANARY);
  expect((await send('GET', '/v1/inventory', limited)).status).toBe(403);
});

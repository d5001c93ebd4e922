import { Hono } from 'hono';
import { expect, it } from 'vitest';
import type { AppEnv } from '../../../src/gateway/context.ts';
import { RouteLabels } from '../../../src/gateway/counted-requests.ts';
import { type AnswerRead, fetchKnownFirst, KnownReads } from '../../../src/gateway/known-reads.ts';
import type { RequestCount } from '../../../src/operations/requests.ts';
import { Failure } from '../../../src/platform/failure.ts';

const ROUTE = '/v1/products/{id}';
const URL_OF_READ = 'https://here/v1/products/1?limit=2';
const ctx = { waitUntil: () => undefined, passThroughOnException: () => undefined, props: {} };

function setUp(answer: AnswerRead, url = URL_OF_READ) {
  const known = new KnownReads();
  const read = { input: { id: '1' }, key: 'product:1', parameters: {}, cursors: undefined };
  known.remember(url, ROUTE, read, answer);
  const counted: (readonly [string, string, number])[] = [];
  const fetch = fetchKnownFirst(
    () => new Response('routed'),
    known,
    (error, c) => new Response(`${c.req.path}: ${error.message}`, { status: 503 }),
    {
      count: ([method, route, status]: RequestCount) => counted.push([method, route, status]),
      routes: new RouteLabels([new Hono<AppEnv>().put('/v1/products/:id', (c) => c.text(''))]),
    },
  );
  const ask = async (asked: string, init: RequestInit = {}) =>
    await (await fetch(new Request(asked, init), { name: 'env' }, ctx)).text();
  return { ask, known, counted };
}

it('answers a known address without routing it, and everything else by the app', async () => {
  const { ask, counted } = setUp(
    (c, asked) => new Response(`${asked().key} ${c.req.url} ${JSON.stringify(c.env)}`),
  );
  expect(await ask(URL_OF_READ)).toBe(`product:1 ${URL_OF_READ} {"name":"env"}`);
  expect(await ask(`${URL_OF_READ}1`)).toBe('routed');
  expect(await ask(URL_OF_READ.replace('here', 'there'))).toBe('routed');
  expect(await ask(URL_OF_READ, { method: 'PUT', body: '{}' })).toBe('routed');
  expect(counted).toEqual([
    ['GET', ROUTE, 200],
    ['GET', '(none)', 200],
    ['GET', '(none)', 200],
    ['PUT', '/v1/products/{id}', 200],
  ]);
});

it.each([
  [
    'thrown',
    () => {
      throw new Failure('database_unavailable', 'away');
    },
  ],
  ['late', () => Promise.reject(new Failure('database_unavailable', 'away'))],
] as const)('makes the answer of the app of an error that is %s', async (_, answer) => {
  const { ask, counted } = setUp(answer);
  expect(await ask(URL_OF_READ)).toBe('/v1/products/1: away');
  expect(counted).toEqual([['GET', ROUTE, 503]]);
});

it('keeps neither long addresses nor more than it may', async () => {
  const answer = () => new Response('known');
  const long = `https://here/${'x'.repeat(600)}`;
  expect(await setUp(answer, long).ask(long)).toBe('routed');
  const { ask, known } = setUp(answer);
  const asked = { input: {}, key: 'k', parameters: {}, cursors: undefined };
  for (let index = 0; index < 8_191; index += 1)
    known.remember(`https://here/${index}`, ROUTE, asked, answer);
  expect(await ask(URL_OF_READ)).toBe('known');
  known.remember('https://here/one-more', ROUTE, asked, answer);
  expect(await ask(URL_OF_READ)).toBe('routed');
  expect(await ask('https://here/0')).toBe('known');
});

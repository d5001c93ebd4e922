import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import type { CachedAnswer } from '../../../src/cache/read-through.ts';
import { CachedResponses, missingResponse } from '../../../src/gateway/cached-response.ts';

const source: fc.Arbitrary<CachedAnswer['source']> = fc.oneof(
  fc.record({
    hit: fc.constant(true as const),
    tier: fc.constantFrom('memory' as const, 'colo' as const),
    stale: fc.boolean(),
  }),
  fc.record({
    hit: fc.constant(false as const),
    forward: fc.constant('uri-miss' as const),
    stored: fc.boolean(),
    collapsed: fc.constant(false),
  }),
);

const answer: fc.Arbitrary<CachedAnswer> = fc.record({
  entry: fc.constantFrom('{"a":1}', '{"b":2}', 'null').map((body) => ({
    body,
    etag: `"${body.length}${body}"`.replaceAll(/[{}:]/g, ''),
    tagHashes: [],
    epoch: 'e',
    stamp: 0,
    filledAt: 0,
  })),
  source,
  unverified: fc.constantFrom(undefined, 'clock-unavailable' as const),
  ageS: fc.integer({ min: 0, max: 1 }),
  ttlS: fc.integer({ min: 0, max: 1 }),
  maxAgeS: fc.integer({ min: 0, max: 1 }),
  judgedSeq: fc.constant(0),
  token: fc.constantFrom(undefined, 'e.1', 'e.2'),
});

it('a response is the same whether another of its entity tag was sent before or not', async () => {
  const request = new Request('https://shop.test/v1/products/1');
  const seen = async (response: Response) => ({
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(answer, { minLength: 2, maxLength: 12 }), async (answers) => {
      const responses = new CachedResponses(['Accept-Language']);
      for (const next of answers) {
        const alone = new CachedResponses(['Accept-Language']).of(next, request, 0);
        expect(await seen(responses.of(next, request, 0))).toEqual(await seen(alone));
      }
    }),
    { numRuns: 500 },
  );
});

it('a cached 404 has the cache headers and the id of its request, and no entity tag', async () => {
  const cached = new Response('null', {
    headers: { etag: '"1"', 'cache-status': 'millrace; hit', 'content-type': 'application/json' },
  });
  const missing = missingResponse(cached, 'There is no product with these parameters.', 'request-1');
  expect(missing.status).toBe(404);
  expect(Object.fromEntries(missing.headers)).toEqual({
    'cache-status': 'millrace; hit',
    'content-type': 'application/problem+json',
    'x-request-id': 'request-1',
    'x-content-type-options': 'nosniff',
  });
  expect(await missing.json()).toMatchObject({ code: 'not_found', requestId: 'request-1' });
});

it('keeps the headers of a busy answer while others pass by, and no more than two generations', () => {
  const request = new Request('https://shop.test/v1/products/1');
  const responses = new CachedResponses();
  const at = (etag: string): CachedAnswer => ({
    entry: { body: '{}', etag, tagHashes: [], epoch: 'e', stamp: 0, filledAt: 0 },
    source: { hit: true, tier: 'memory', stale: false },
    ...{ unverified: undefined, ageS: 0, ttlS: 300, maxAgeS: 1, judgedSeq: 0, token: 'e.1' },
  });
  const made = vi.spyOn(globalThis, 'Headers');
  responses.of(at('"busy"'), request, 0);
  for (let other = 0; other < 10_000; other += 1) {
    responses.of(at(`"${other}"`), request, 0);
    if (other % 100 === 0) responses.of(at('"busy"'), request, 0);
  }
  expect(made).toHaveBeenCalledTimes(1);
  responses.of(at('"0"'), request, 0);
  expect(made).toHaveBeenCalledTimes(1);
  made.mockRestore();
});

import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { CachedAnswer } from '../../../src/cache/cached-answer.ts';
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
  mirrorAgeMs: fc.constant(0),
  token: fc.constantFrom(undefined, 'e.1', 'e.2'),
});

it('a response is the same whether another of its entity tag was sent before or not', async () => {
  const request = new Headers({ 'cf-ray': 'request-1' });
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
  const request = new Headers({ 'cf-ray': 'request-1' });
  const responses = new CachedResponses();
  const at = (etag: string): CachedAnswer => ({
    entry: { body: '{}', etag, tagHashes: [], epoch: 'e', stamp: 0, filledAt: 0 },
    source: { hit: true, tier: 'memory', stale: false },
    ...{ unverified: undefined, ageS: 0, ttlS: 300, maxAgeS: 1, judgedSeq: 0, mirrorAgeMs: 0, token: 'e.1' },
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

describe('the headers that name and guard an answer', () => {
  const at = (changed: Partial<CachedAnswer>): CachedAnswer => ({
    entry: { body: '{}', etag: '"1"', tagHashes: [], epoch: 'e', stamp: 0, filledAt: 0 },
    source: { hit: true, tier: 'memory', stale: false },
    ...{ unverified: undefined, ageS: 0, ttlS: 300, maxAgeS: 1, judgedSeq: 0, mirrorAgeMs: 0, token: 'e.1' },
    ...changed,
  });
  const memory = { hit: true, tier: 'memory', stale: false } as const;
  const colo = { hit: true, tier: 'colo', stale: false } as const;
  const fill = { hit: false, forward: 'uri-miss', stored: true, collapsed: false } as const;

  it.each([
    ['a hit in memory', memory, {}, 200, null],
    ['a 304 from memory', memory, { 'if-none-match': '"1"' }, 304, null],
    ['a hit in the data centre', colo, {}, 200, 'ray-1'],
    ['a 304 from the data centre', colo, { 'if-none-match': '"1"' }, 304, 'ray-1'],
    ['a fill', fill, {}, 200, 'ray-1'],
    ['a 304 after a fill', fill, { 'if-none-match': '"1"' }, 304, 'ray-1'],
  ] as const)('%s', (_, source, sent, status, id) => {
    const responses = new CachedResponses();
    // The first hit, the one that makes the kept headers, and the one that copies them.
    for (let read = 0; read < 3; read += 1) {
      const response = responses.of(at({ source }), new Headers({ 'cf-ray': 'ray-1', ...sent }), 0);
      expect(response.status).toBe(status);
      expect(response.headers.get('x-request-id')).toBe(id);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  it('changes what differs between two hits of one answer, and makes no headers anew', () => {
    const responses = new CachedResponses();
    const shown = (changed: Partial<CachedAnswer>) => {
      const { headers } = responses.of(at(changed), new Headers(), 0);
      return ['age', 'cache-status', 'cache-control', 'millrace-token'].map((name) => headers.get(name));
    };
    shown({});
    shown({});
    const made = vi.spyOn(globalThis, 'Headers');
    expect(shown({ ageS: 7, ttlS: 293, maxAgeS: 8, token: 'e.2' })).toEqual([
      '7',
      'millrace; hit; ttl=293; detail=memory',
      'private, max-age=8, must-revalidate',
      'e.2',
    ]);
    expect(shown({ unverified: 'clock-unavailable', token: undefined })).toEqual([
      '0',
      'millrace; hit; ttl=300; detail=unverified',
      'private, max-age=1, must-revalidate',
      null,
    ]);
    expect(made).toHaveBeenCalledTimes(2);
    made.mockRestore();
  });
});
